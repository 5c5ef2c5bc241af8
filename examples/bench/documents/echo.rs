//! A round trip of bare bytes between two processes: what the system takes for it.

use std::time::{Duration, Instant};

use cluster_web::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::sleep;

use crate::{IDLE, p50};

/// About as many as a change of a document takes.
const BYTES: usize = 64;

/// Answers bytes with the same.
pub(crate) async fn serve(socket: &str) -> Result<()> {
    let listener = UnixListener::bind(socket)?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        actix_web::rt::spawn(async move {
            let mut bytes = [0; BYTES];
            // A client that is gone is no loss.
            while stream.read_exact(&mut bytes).await.is_ok() {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// The median of round trips, one now and then.
pub(crate) async fn trips(socket: &str, length: Duration) -> Result<f64> {
    let mut stream = UnixStream::connect(socket).await?;
    let (begun, mut times, mut bytes) = (Instant::now(), Vec::new(), [7; BYTES]);
    while begun.elapsed() < length {
        sleep(IDLE).await;
        let sent = Instant::now();
        stream.write_all(&bytes).await?;
        stream.read_exact(&mut bytes).await?;
        times.push(sent.elapsed().as_nanos() as u64);
    }
    p50(times)
}
