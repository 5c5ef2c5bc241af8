//! Redis, through the connection that its crate offers to many callers.

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncCommands, Client};
use cluster_web::Result;

use super::Peer;

/// A client of the server at a socket.
pub(crate) async fn connect(socket: &str) -> Result<Redis> {
    let client = Client::open(format!("redis+unix://{socket}"))?;
    Ok(Redis(client.get_multiplexed_async_connection().await?))
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
