//! The server of one thread, and the handle that orders it about.

use std::{cell::RefCell, fmt, rc::Rc, sync::Arc, time::Duration};

use actix_http::{Request, Response, body::MessageBody};
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::dev::AppConfig;
use cluster_core::Slot;
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    accept::accept_loop,
    error::AcceptorError,
    gate::Connections,
    idle,
    listener::{Door, Listener},
    serve::{Serve, Site, build},
    settings::HttpSettings,
};
use crate::tally::Meter;

/// How often a drain looks for idle connections once the grace is over. A connection is closed after two looks.
const ROUND: Duration = Duration::from_millis(10);

/// The application as served by one thread. Clones are handles of the same server; they cannot leave the thread.
///
/// It serves nobody until [`accept`](Self::accept) is called, and may accept, stop and accept again as often as needed,
/// always with the one instance of the application that it was built with.
#[derive(Clone)]
pub struct Server {
    inner: Rc<Inner>,
}

struct Inner {
    /// The application's service, one instance for plain and one for secure sites, where there are both.
    sites: Vec<(bool, Rc<dyn Serve>)>,
    settings: HttpSettings,
    connections: Rc<Connections>,
    loops: RefCell<Vec<(Rc<Door>, JoinHandle<()>)>>,
    /// What closes idle connections.
    idle: Option<JoinHandle<()>>,
}

impl Server {
    /// Builds the application on this thread, which must run an actix arbiter (or another tokio `LocalSet`).
    ///
    /// `sites`: one, or two that differ in `secure`; of several alike the first counts. Each gets an instance of the
    /// application; a listener is served by the instance of its kind, or else by the first.
    ///
    /// # Errors
    ///
    /// [`AcceptorError::Build`] where the application's own initialisation fails, [`AcceptorError::NoSite`].
    pub async fn build<F, I, S, B>(
        factory: &F,
        sites: &[Site],
        settings: HttpSettings,
        meter: Arc<Meter>,
    ) -> Result<Self, AcceptorError>
    where
        F: Fn() -> I,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<actix_web::Error> + 'static,
        S::InitError: fmt::Debug,
        S::Response: Into<Response<B>> + 'static,
        <S::Service as Service<Request>>::Future: 'static,
        S::Service: 'static,
        B: MessageBody + 'static,
    {
        let mut built: Vec<(bool, Rc<dyn Serve>)> = Vec::new();
        for site in sites {
            if built.iter().all(|(secure, _)| *secure != site.secure) {
                let serve = build(factory, site, &settings, Arc::clone(&meter)).await?;
                built.push((site.secure, serve));
            }
        }
        if built.is_empty() {
            return Err(AcceptorError::NoSite);
        }
        let connections = Connections::new();
        let (_, time) = idle::keep_alive(&settings);
        let close = |time| actix_rt::spawn(idle::close_idle(Rc::clone(&connections), time));
        Ok(Server {
            inner: Rc::new(Inner {
                sites: built,
                idle: time.map(close),
                settings,
                connections,
                loops: RefCell::default(),
            }),
        })
    }

    /// Accepts on these listeners too, from now on. Ends a drain.
    ///
    /// With a `slot`, the connections are shared with all who have joined the page; without, as for the private
    /// listener of a warm-up, whatever comes is taken.
    ///
    /// # Errors
    ///
    /// [`AcceptorError::Listener`] where one cannot be used; then none of them is.
    pub fn accept(
        &self,
        listeners: Vec<Listener>,
        slot: Option<Slot>,
    ) -> Result<(), AcceptorError> {
        let inner = &*self.inner;
        let doors = listeners
            .into_iter()
            .map(|listener| Door::open(listener, inner.settings.http2))
            .collect::<Result<Vec<_>, _>>()?;
        inner.connections.set_draining(false);
        if let Some(slot) = slot {
            inner.connections.join(slot);
        }
        for door in doors.into_iter().map(Rc::new) {
            let task = actix_rt::spawn(accept_loop(
                Rc::clone(&door),
                inner.serve_for(door.secure),
                Rc::clone(&inner.connections),
                inner.settings.max_connections,
            ));
            inner.loops.borrow_mut().push((door, task));
        }
        Ok(())
    }

    /// Accepts nothing more, from this moment on, and drops the listeners of this thread. What waits in the queue
    /// of a socket is left to the others who hold it. Open connections are served on.
    pub fn stop_accepting(&self) {
        self.inner.connections.leave();
        for (door, task) in self.inner.loops.borrow_mut().drain(..) {
            door.close();
            task.abort();
        }
    }

    /// Stops accepting and lets every connection end in order; resolves when none is left.
    ///
    /// From now on each answer says `Connection: close`. Connections that are idle when `grace` is over are closed then;
    /// one that has sent a part of a request head gets as long again. Requests under way are waited for without limit:
    /// the deadline is the caller's, with [`force_close`](Self::force_close).
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the thread stays as it is: answers go on to be the last of their connections until
    /// [`accept`](Self::accept) is called.
    pub async fn drain(&self, grace: Duration) {
        self.stop_accepting();
        let connections = &self.inner.connections;
        connections.set_draining(true);
        let begun = Instant::now();
        if timeout(grace, connections.all_closed()).await.is_ok() {
            return;
        }
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while connections.live() > 0 {
            tokio::select! {
                () = connections.all_closed() => return,
                _ = rounds.tick() => connections.close_idle(begun.elapsed() < grace.saturating_mul(2)),
            }
        }
    }

    /// Drops every connection, whatever it is doing. They are gone once this thread has run its tasks.
    pub fn force_close(&self) {
        self.inner.connections.abort_all();
    }

    /// Resolves when no connection is open.
    pub async fn closed(&self) {
        self.inner.connections.all_closed().await;
    }

    /// Connections open on this thread.
    #[must_use]
    pub fn live(&self) -> u32 {
        self.inner.connections.live()
    }

    /// Whether this thread accepts on any listener.
    #[must_use]
    pub fn is_accepting(&self) -> bool {
        !self.inner.loops.borrow().is_empty()
    }

    /// Whether each answer is now the last of its connection.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.inner.connections.draining()
    }
}

impl Inner {
    fn serve_for(&self, secure: bool) -> Rc<dyn Serve> {
        let of_kind = self.sites.iter().find(|(kind, _)| *kind == secure);
        // `build` refuses to make a server without a site.
        Rc::clone(&of_kind.unwrap_or(&self.sites[0]).1)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.connections.leave();
        if let Some(idle) = &self.idle {
            idle.abort();
        }
        for (door, task) in self.loops.get_mut().drain(..) {
            door.close();
            task.abort();
        }
    }
}
