//! The accept loop of one listener on one thread.

use std::{future::poll_fn, io, rc::Rc, time::Duration};

use tokio::time::{sleep, timeout};

use super::{
    gate::Connections,
    listener::{Door, Remedy, remedy},
    serve::Serve,
};

/// How long an acceptor that holds more than its share lets the others go first. Not longer: where the figures of the
/// others are stale, this is all that it costs.
const COURTESY: Duration = Duration::from_millis(1);

/// How long to wait where descriptors or memory are short.
const SHORTAGE: Duration = Duration::from_millis(100);

/// Accepts until the door is closed.
pub(crate) async fn accept_loop(
    door: Rc<Door>,
    serve: Rc<dyn Serve>,
    connections: Rc<Connections>,
    max_connections: u32,
) {
    let mut short = false;
    loop {
        while connections.live() >= max_connections.max(1) {
            connections.one_closed().await;
        }
        if poll_fn(|cx| serve.poll_ready(cx)).await.is_err() {
            sleep(SHORTAGE).await;
            continue;
        }
        match poll_fn(|cx| door.poll_accept(cx)).await {
            None => return,
            Some(Ok(accepted)) => {
                short = false;
                serve.serve(accepted, door.tls.as_ref(), connections.open());
            }
            Some(Err(error)) => {
                if remedy(&error) == Remedy::Wait {
                    log_once(&mut short, &door.address, &error);
                    sleep(SHORTAGE).await;
                }
                continue;
            }
        }
        give_way(&connections).await;
    }
}

/// Lets the others come first: for a moment where we hold more than our share, else for one round of this thread.
async fn give_way(connections: &Connections) {
    if connections.should_give_way() {
        // A connection of ours that closes makes it our turn again at once.
        let _ = timeout(COURTESY, async {
            while connections.should_give_way() {
                connections.one_closed().await;
            }
        })
        .await;
    } else {
        tokio::task::yield_now().await;
    }
}

/// A shortage lasts for many attempts, and one line is enough for all of them.
fn log_once(short: &mut bool, address: &str, error: &io::Error) {
    if !std::mem::replace(short, true) {
        tracing::warn!(
            address,
            %error,
            "cannot accept for now, trying again every {} ms",
            SHORTAGE.as_millis()
        );
    }
}
