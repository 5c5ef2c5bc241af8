//! The socket on which processes of the cluster arrive: looks at the peer's user, hears its hello, hands it on.
//!
//! At most [`HANDSHAKES`] handshakes are under way; further connections wait in the kernel's queue, so that a peer that
//! connects and keeps silent costs others five seconds at worst, and memory never. At most [`OPERATORS`] operators are linked; a
//! further one is refused.

use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::{debug, warn};

use super::handshake::{self, HandshakeError, pid_of};
use crate::id::Role;
use crate::protocol::{Hello, Refused};

/// Handshakes under way at once.
const HANDSHAKES: usize = 64;

/// Operators linked at once.
const OPERATORS: u16 = 64;

/// A process that has introduced itself and waits to be let in.
pub(crate) struct Arrival {
    pub(crate) hello: Hello,
    pub(crate) stream: UnixStream,
    /// An operator's place among the others, to be kept for as long as it is linked.
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

/// Accepts until it is dropped or nobody takes arrivals any more.
pub(crate) async fn listen(listener: UnixListener, arrivals: mpsc::Sender<Arrival>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    let operators = Arc::new(Semaphore::new(OPERATORS.into()));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => {
                warn!(error = %e, "a link could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let (arrivals, operators) = (arrivals.clone(), Arc::clone(&operators));
        actix_rt::spawn(async move {
            match hear(&stream, operators).await {
                Ok((hello, place)) => {
                    let arrival = Arrival {
                        hello,
                        stream,
                        place,
                    };
                    if arrivals.send(arrival).await.is_err() {
                        debug!("a link arrived after the last one was wanted");
                    }
                }
                Err(HandshakeError::Refused(refused)) => {
                    warn!(pid = pid_of(&stream), reason = %refused, "a link was refused");
                    let _ = handshake::send(&stream, &refused).await;
                }
                Err(e) => warn!(pid = pid_of(&stream), error = %e, "a link broke the handshake"),
            }
            drop(place);
        });
    }
}

type Place = Option<OwnedSemaphorePermit>;

async fn hear(
    stream: &UnixStream,
    operators: Arc<Semaphore>,
) -> Result<(Hello, Place), HandshakeError> {
    let hello = handshake::hear(stream).await?;
    let place = match hello.role {
        Role::Operator => match operators.try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) => return Err(Refused::Crowded { most: OPERATORS }.into()),
        },
        _ => None,
    };
    Ok((hello, place))
}
