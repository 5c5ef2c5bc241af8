//! The cache manager as a process of the cluster, or as a part of the master.

use std::time::Duration;

use actix::{Actor, Addr};
use cluster_core::{Application, Beat, Cluster, Means, Serving, StartFailure};

use crate::manager::CacheManager;
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
            let manager = CacheManager::new().start();
            cluster.bind(manager.clone());
            let asked = manager.clone();
            cluster.status().register("cache", move || {
                let asked = asked.clone();
                async move { asked.send(Meta {}).await.ok() }
            });
            Ok(Box::new(Served { _manager: manager }) as Box<dyn Serving>)
        })
    }
}

/// Keeps the manager's address, and with it the manager, for as long as the process serves.
struct Served {
    _manager: Addr<CacheManager>,
}

impl Serving for Served {
    fn accept(&mut self) -> Ready<Result<Vec<String>, StartFailure>> {
        Box::pin(async { Ok(vec!["bridge".to_owned()]) })
    }

    fn pause(&mut self) -> Ready<()> {
        Box::pin(async {})
    }

    fn drain(&mut self, _: Duration) -> Ready<()> {
        Box::pin(async {})
    }

    fn sample(&mut self, _: &mut Beat) {}
}
