//! The cache manager as a process of the cluster, or as a part of the master.

use std::future::pending;
use std::time::Duration;

use cluster_core::endpoint::ServiceSocket;
use cluster_core::{
    Application, Beat, Cluster, Means, Role, Serving, StartFailure, StartStep, sys,
};

use crate::manager::{CacheManager, Kept, ManagerOptions, Serves, StoreFigures, Stores, take_over};
use crate::protocol::Meta;
use crate::sessions::{Declared, SessionStore};

type Ready<T> = std::pin::Pin<Box<dyn Future<Output = T>>>;

/// What the cache manager's process runs.
#[derive(Clone, Debug, Default)]
pub struct CacheApplication {
    stores: Declared,
}

impl CacheApplication {
    /// Has it own a session store of this name.
    #[must_use]
    pub fn session_store(mut self, name: &str, store: SessionStore) -> Self {
        self.stores.add(name, store);
        self
    }
}

impl Application for CacheApplication {
    fn start(
        self: Box<Self>,
        cluster: Cluster,
        means: Means,
    ) -> Ready<Result<Box<dyn Serving>, StartFailure>> {
        Box::pin(async move {
            let path = cluster.cache_socket();
            let service = &cluster.options().cache;
            let options = ManagerOptions {
                max_bytes: service
                    .max_bytes
                    .or_else(|| sys::memory_bound().map(|bytes| bytes / 4))
                    .and_then(|bytes| usize::try_from(bytes).ok()),
                // A manager that ends in peace takes its socket along.
                follows_crash: !means.takes_over && std::fs::symlink_metadata(&path).is_ok(),
                // An actor of the master goes where the master goes.
                hands_over: cluster.role() == Role::CacheManager,
            };
            let persist_path = service.persist_path.as_deref();
            // Before anything is taken over: where one cannot be opened, nothing has happened.
            let configured = |e| StartFailure::new(StartStep::Configure, e);
            let opened = self.stores.open(persist_path.is_some());
            let stores = opened.and_then(|opened| Stores::start(opened, Some(cluster.clone())));
            let stores = stores.map_err(configured)?;
            let mut serves = if means.takes_over {
                let taken = take_over(&path, persist_path, service.sync).await;
                let taken = taken.map_err(|e| StartFailure::new(StartStep::TakeOver, e))?;
                CacheManager::start_after(taken, options, stores)
            } else {
                let socket = ServiceSocket::bind(&path)
                    .map_err(|e| StartFailure::new(StartStep::Listen, e))?;
                Kept::open(persist_path, service.sync)
                    .and_then(|store| CacheManager::start_at(socket, options, store, stores))
                    .map_err(|e| StartFailure::new(StartStep::Configure, e))?
            };
            let superseded = serves.superseded();
            cluster.bind(serves.manager.clone());
            let asked = serves.manager.clone();
            cluster.status().register("cache", move || {
                let asked = asked.clone();
                async move { asked.send(Meta {}).await.ok() }
            });
            let asked = serves.manager.clone();
            cluster.status().register("sessions", move || {
                let asked = asked.clone();
                async move { asked.send(StoreFigures).await.ok() }
            });
            let address = format!("unix:{}", path.display());
            Ok(Box::new(Served {
                serves: Some(serves),
                superseded: Some(Box::pin(superseded)),
                address,
            }) as Box<dyn Serving>)
        })
    }
}

struct Served {
    serves: Option<Serves>,
    superseded: Option<Ready<()>>,
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

    fn superseded(&mut self) -> Ready<()> {
        let superseded = self.superseded.take();
        superseded.unwrap_or_else(|| Box::pin(pending()))
    }

    fn sample(&mut self, _: &mut Beat) {}
}
