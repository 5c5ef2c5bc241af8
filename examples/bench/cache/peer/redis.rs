//! Redis, through the connection that its crate offers to many callers.

use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncCommands, AsyncConnectionConfig, Client};
use cluster_web::Result;

use super::Peer;

/// Questions that may wait to be written: as many as are ever under way, where its default is fewer, and slower.
const BUFFER: usize = 256;

/// How long an answer may take, as with ours.
const PATIENCE: Duration = Duration::from_secs(3);

/// A client of the server at a socket.
pub(crate) async fn connect(socket: &str) -> Result<Redis> {
    let client = Client::open(format!("redis+unix://{socket}"))?;
    let config = AsyncConnectionConfig::new()
        .set_pipeline_buffer_size(BUFFER)
        .set_response_timeout(Some(PATIENCE));
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    Ok(Redis(connection.await?))
}

#[derive(Clone)]
pub(crate) struct Redis(MultiplexedConnection);

impl Peer for Redis {
    async fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(AsyncCommands::get(&mut self.0, key).await?)
    }

    async fn set(&mut self, key: &str, value: &[u8]) -> Result<()> {
        Ok(AsyncCommands::set(&mut self.0, key, value).await?)
    }
}
