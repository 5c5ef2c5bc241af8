//! A shop whose prices come from a slow backend, through the shared cache: each is loaded once, however many ask, in whichever
//! process.
//!
//! `/` is a page that shows it; `/product/{sku}` the product as JSON; `POST /product/{sku}?cents=N` changes its price, of which every
//! worker hears; `/loads/{sku}` how often any process of the cluster has loaded it; `/watch/{sku}` its changes, as server-sent
//! events.

use std::collections::HashMap;

use actix_web::{App, HttpResponse, Responder, get, post};
use cluster_web::cache::{Cache, Change};
use cluster_web::prelude::*;
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::sleep;

/// The page: a product, its price, and what becomes of it while one looks.
const PAGE: &str = include_str!("shop/page.html");

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Product {
    sku: String,
    cents: u64,
    /// The process that loaded it, or set its price.
    by: u32,
}

/// Told to every process when a price changes.
#[derive(Clone, Debug, Serialize, Deserialize, Event)]
struct PriceChanged {
    sku: String,
    cents: u64,
}

/// Asks a process for a price that it has heard of.
#[derive(Clone, Debug, Serialize, Deserialize, Request)]
#[reply(Option<u64>)]
struct PriceOf {
    sku: String,
}

/// The prices that have changed: one such actor in every process.
#[derive(Default, HandlerActor)]
#[handles(PriceChanged, PriceOf)]
struct Prices(HashMap<String, u64>);

impl Handler<PriceChanged> for Prices {
    type Result = ();

    fn handle(&mut self, changed: PriceChanged, _: &mut Context<Self>) {
        tracing::info!(sku = %changed.sku, cents = changed.cents, pid = std::process::id(), "a price has changed");
        self.0.insert(changed.sku, changed.cents);
    }
}

impl Handler<PriceOf> for Prices {
    type Result = Option<u64>;

    fn handle(&mut self, asked: PriceOf, _: &mut Context<Self>) -> Option<u64> {
        self.0.get(&asked.sku).copied()
    }
}

/// Told to the master by who loads a product.
#[derive(Clone, Debug, Serialize, Deserialize, Request)]
#[reply(u64)]
struct Loading {
    sku: String,
}

/// Asks the master how often a product was loaded.
#[derive(Clone, Debug, Serialize, Deserialize, Request)]
#[reply(u64)]
struct LoadsOf {
    sku: String,
}

/// How often each product was loaded, in the master.
#[derive(Default, HandlerActor)]
#[handles(Loading, LoadsOf)]
struct Loads(HashMap<String, u64>);

impl Handler<Loading> for Loads {
    type Result = MessageResult<Loading>;

    fn handle(&mut self, Loading { sku }: Loading, _: &mut Context<Self>) -> Self::Result {
        let count = self.0.entry(sku).or_default();
        *count += 1;
        MessageResult(*count)
    }
}

impl Handler<LoadsOf> for Loads {
    type Result = MessageResult<LoadsOf>;

    fn handle(&mut self, LoadsOf { sku }: LoadsOf, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.0.get(&sku).copied().unwrap_or_default())
    }
}

fn products(cluster: &Cluster) -> Result<Cache> {
    Ok(cluster.cache("products", CacheOptions::default().expire(minutes(1)))?)
}

/// The backend: slow, and asked by nobody but a load.
async fn fetch(cluster: Cluster, sku: String, takes_ms: u64) -> Result<Product> {
    let loading = Loading { sku: sku.clone() };
    cluster.emitter().ask(Target::Master, loading).await?;
    tracing::info!(%sku, pid = std::process::id(), "loading");
    sleep(millis(takes_ms)).await;
    let asked = PriceOf { sku: sku.clone() };
    let changed = cluster.emitter().ask(Target::Myself, asked).await?;
    Ok(Product {
        cents: changed.unwrap_or_else(|| sku.bytes().map(u64::from).sum()),
        by: std::process::id(),
        sku,
    })
}

#[derive(Clone, Copy)]
struct Backend {
    takes_ms: u64,
}

#[get("/")]
async fn page() -> impl Responder {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(PAGE)
}

#[get("/product/{sku}")]
async fn show(
    sku: web::Path<String>,
    cluster: web::Data<Cluster>,
    backend: web::Data<Backend>,
) -> Result<impl Responder> {
    let (sku, takes_ms) = (sku.into_inner(), backend.takes_ms);
    let load = {
        let (cluster, sku) = (cluster.get_ref().clone(), sku.clone());
        move || fetch(cluster, sku, takes_ms)
    };
    let product: Product = products(&cluster)?
        .get_or_load(&sku, load)
        .wait(seconds(30))
        .await?;
    Ok(HttpResponse::Ok().json(product))
}

#[derive(Deserialize)]
struct Price {
    cents: u64,
}

#[post("/product/{sku}")]
async fn reprice(
    sku: web::Path<String>,
    price: web::Query<Price>,
    cluster: web::Data<Cluster>,
) -> Result<impl Responder> {
    let product = Product {
        sku: sku.into_inner(),
        cents: price.cents,
        by: std::process::id(),
    };
    let changed = PriceChanged {
        sku: product.sku.clone(),
        cents: product.cents,
    };
    let everywhere = cluster.emitter().to([Target::Master, Target::Workers]);
    everywhere.emit(changed)?;
    products(&cluster)?.set(&product.sku, &product).await?;
    Ok(HttpResponse::Ok().json(product))
}

#[get("/loads/{sku}")]
async fn count_loads(
    sku: web::Path<String>,
    cluster: web::Data<Cluster>,
) -> Result<impl Responder> {
    let asked = LoadsOf {
        sku: sku.into_inner(),
    };
    let loads = cluster.emitter().ask(Target::Master, asked).await?;
    Ok(HttpResponse::Ok().json(json!({ "loads": loads })))
}

#[get("/watch/{sku}")]
async fn watch_product(
    sku: web::Path<String>,
    cluster: web::Data<Cluster>,
) -> Result<impl Responder> {
    let changes = products(&cluster)?.watch(&sku).await?;
    // A stream would keep its worker from ending: it ends when the worker begins to.
    let events = changes.take_until(cluster.draining()).map(|change| {
        let (event, data) = match &change {
            Change::Set { value, .. } => {
                ("set", value.get::<serde_json::Value>().unwrap_or_default())
            }
            Change::Deleted { .. } => ("deleted", json!({})),
            Change::Expired { .. } => ("expired", json!({})),
            Change::Evicted { .. } => ("evicted", json!({})),
            // What was missed, the page reads afresh.
            _ => ("resync", json!({})),
        };
        Ok::<_, Error>(web::Bytes::from(format!(
            "event: {event}\ndata: {data}\n\n"
        )))
    });
    // Something to begin with, so that the client knows that it is heard.
    let begun = futures_util::stream::iter([Ok(web::Bytes::from_static(b": watching\n\n"))]);
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-store"))
        .streaming(begun.chain(events)))
}

/// The application's own flags are text to the cluster: what they mean is for the application to check.
fn backend(text: &str) -> Result<Backend> {
    match text.parse() {
        Ok(takes_ms @ 0..=600_000) => Ok(Backend { takes_ms }),
        _ => Err(Error::msg(format!(
            "--backend-ms: {text:?} is no time (allowed: 0 to 600000)"
        ))),
    }
}

#[cluster_web::main]
async fn main() -> Result<()> {
    let options = Options::loader()
        .about("A shop with a slow backend behind the shared cache.")
        .flag(
            "backend-ms",
            "How long the backend takes for a price, in milliseconds, 0 to 600000",
            "200",
        )
        .load()?;
    let backend = backend(options.app("backend-ms").unwrap_or_default())?;
    cluster_web::app(move || {
        App::new()
            .app_data(web::Data::new(backend))
            .service(page)
            .service(show)
            .service(reprice)
            .service(count_loads)
            .service(watch_product)
    })
    .options(options)
    .dependencies(cluster_web::dependencies!())
    .actor(Role::ALL, Prices::default)
    .actor(&[Role::Master], Loads::default)
    .listen()
    .await?
    .wait()
    .await
}
