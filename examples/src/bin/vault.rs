//! A store that not every worker reaches: the master lets in those with an odd number, and nobody else can.
//!
//! `/secret` shows what is in it, or 403 in a worker that was not let in; `POST /enter` has a worker try to let itself in; `/pid` says
//! which process answers.

use actix_web::{App, HttpResponse, Responder, get, post};
use cluster_web::events::Warmed;
use cluster_web::prelude::*;
use cluster_web::{SessionError, Sessions};

fn vault(cluster: &Cluster) -> Sessions {
    cluster.sessions("vault")
}

/// In the master: hears of each worker that is about to serve.
#[derive(HandlerActor)]
#[handles(Warmed)]
struct Doorkeeper(Sessions);

impl Handler<Warmed> for Doorkeeper {
    type Result = ();

    fn handle(&mut self, warmed: Warmed, _: &mut Context<Self>) {
        if warmed.worker.0 % 2 == 1 {
            let vault = self.0.clone();
            actix_web::rt::spawn(async move {
                if let Err(error) = vault.add_worker(warmed.worker).await {
                    tracing::error!(%error, worker = %warmed.worker, "a worker was not let in");
                }
            });
        }
    }
}

#[get("/secret")]
async fn secret(cluster: web::Data<Cluster>) -> Result<impl Responder> {
    let vault = vault(&cluster);
    let worker = cluster.worker();
    match vault.create("secret", &worker, None).await {
        Ok(_) => {}
        Err(e @ SessionError::Forbidden { .. }) => {
            return Ok(HttpResponse::Forbidden().body(format!("{e}\n")));
        }
        Err(e) => return Err(e.into()),
    }
    let first = vault.get::<u32>("secret").await?;
    Ok(HttpResponse::Ok().json(first))
}

#[post("/enter")]
async fn enter(cluster: web::Data<Cluster>) -> Result<impl Responder> {
    let Some(me) = cluster.worker() else {
        return Ok(HttpResponse::NotFound().finish());
    };
    match vault(&cluster).add_worker(me).await {
        Ok(()) => Ok(HttpResponse::Ok().body("in\n")),
        Err(e) => Ok(HttpResponse::Forbidden().body(format!("{e}\n"))),
    }
}

#[get("/pid")]
async fn who_answers() -> impl Responder {
    std::process::id().to_string()
}

#[cluster_web::main]
async fn main() -> Result<()> {
    let options = Options::loader()
        .about("A store that not every worker reaches.")
        .load()?;
    cluster_web::app(|| {
        App::new()
            .service(secret)
            .service(enter)
            .service(who_answers)
    })
    .options(options)
    .session_store("vault", SessionStore::memory().add_on_fork(false))
    .in_roles(&[Role::Master], |cluster| {
        cluster.bind(Doorkeeper(vault(cluster)).start());
    })
    .listen()
    .await?
    .wait()
    .await
}
