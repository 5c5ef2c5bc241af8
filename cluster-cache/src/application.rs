//! The cache manager as a process of the cluster, or as a part of the master.

use std::time::Duration;

use cluster_core::endpoint::ServiceSocket;
use cluster_core::{Application, Beat, Cluster, Means, Serving, StartFailure, StartStep, sys};

use crate::manager::{CacheManager, Kept, ManagerOptions, Serves};
use crate::protocol::Meta;

type Ready<T> = std::pin::Pin<Box<dyn Future<Output = T>>>;

/// What the cache manager's process runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct CacheApplication;

impl Application for CacheApplication {
    fn start(
        self: Box<Self>,
        cluster: Cluster,
        _: Means,
    ) -> Ready<Result<Box<dyn Serving>, StartFailure>> {
        Box::pin(async move {
            let path = cluster.cache_socket();
            let options = ManagerOptions {
                max_bytes: cluster
                    .options()
                    .cache
                    .max_bytes
                    .or_else(|| sys::memory_bound().map(|bytes| bytes / 4))
                    .and_then(|bytes| usize::try_from(bytes).ok()),
                // A manager that ends in peace takes its socket along.
                follows_crash: std::fs::symlink_metadata(&path).is_ok(),
            };
            let socket =
                ServiceSocket::bind(&path).map_err(|e| StartFailure::new(StartStep::Listen, e))?;
            let service = &cluster.options().cache;
            let store = Kept::open(service.persist_path.as_deref(), service.sync);
            let serves = store
                .and_then(|store| CacheManager::start_at(socket, options, store))
                .map_err(|e| StartFailure::new(StartStep::Configure, e))?;
            cluster.bind(serves.manager.clone());
            let asked = serves.manager.clone();
            cluster.status().register("cache", move || {
                let asked = asked.clone();
                async move { asked.send(Meta {}).await.ok() }
            });
            let address = format!("unix:{}", path.display());
            Ok(Box::new(Served {
                serves: Some(serves),
                address,
            }) as Box<dyn Serving>)
        })
    }
}

struct Served {
    serves: Option<Serves>,
    address: String,
}

impl Serving for Served {
    fn accept(&mut self) -> Ready<Result<Vec<String>, StartFailure>> {
        let address = self.address.clone();
        Box::pin(async { Ok(vec![address]) })
    }

    fn pause(&mut self) -> Ready<()> {
        Box::pin(async {})
    }

    fn drain(&mut self, _: Duration) -> Ready<()> {
        let serves = self.serves.take();
        Box::pin(async {
            if let Some(serves) = serves {
                serves.end().await;
            }
        })
    }

    fn sample(&mut self, _: &mut Beat) {}
}
