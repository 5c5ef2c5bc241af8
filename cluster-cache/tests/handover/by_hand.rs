//! Who keeps to no rule with a cache manager.

use std::path::Path;

use serde::Serialize;
use tokio::net::UnixStream;

use crate::master::{HELLO, QUESTION, WELCOME, receive, send};

/// A connection to a cache manager, by hand.
pub(crate) struct ByHand(UnixStream);

impl ByHand {
    /// Introduces itself as a client, or as the successor.
    pub(crate) async fn connect(socket: &Path, as_successor: bool) -> Self {
        let mut stream = UnixStream::connect(socket).await.unwrap();
        let protocol = 1_u16;
        let role: u32 = if as_successor { 2 } else { 3 };
        let pid = std::process::id();
        let hello = (protocol, "by hand", role, None::<u16>, 0_u64, pid);
        send(&mut stream, HELLO, &hello).await.unwrap();
        assert_eq!(receive(&mut stream).await.unwrap().0, WELCOME);
        ByHand(stream)
    }

    /// Asks something, of the namespace that it calls 1, and waits for what is said then.
    pub(crate) async fn ask<T: Serialize>(&mut self, op: &T) -> Vec<u8> {
        self.tell(op).await;
        self.hear().await
    }

    pub(crate) async fn tell<T: Serialize>(&mut self, op: &T) {
        let (number, space) = (1_u64, 1_u32);
        send(&mut self.0, QUESTION, &(number, space, op))
            .await
            .unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Vec<u8> {
        receive(&mut self.0).await.unwrap().1
    }
}
