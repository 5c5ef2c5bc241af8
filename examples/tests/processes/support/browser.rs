//! A real browser: chromium without a window, driven by chromedriver.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::Url;

use super::axe;
use super::waiting::{within, within_or};

/// The longest that the page may take to show something, on a busy machine: the names in a flame graph are read from a large program.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command of chromedriver's own, below the session.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

/// A browser with one page.
pub(crate) struct Browser {
    runtime: Runtime,
    client: Client,
    driver: Child,
    _home: TempDir,
}

impl Browser {
    /// A browser with an empty page of 1440 by 900.
    pub(crate) fn start() -> Self {
        let home = TempDir::new().expect("a directory");
        let mut driver = Command::new("chromedriver")
            .args(["--port=0", "--log-level=SEVERE"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is there (cargo xtask test installs it)");
        let says = BufReader::new(driver.stdout.take().expect("it is a pipe"));
        let port = says.lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.expect("it says where it listens");
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--window-size=1440,900",
            &format!("--user-data-dir={}", home.path().display()),
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let capabilities: Capabilities = capabilities.as_object().expect("it is one").clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder
                .capabilities(capabilities)
                .connect(&format!("http://127.0.0.1:{port}/"))
                .await
        });
        Browser {
            runtime,
            client: client.expect("chromium starts"),
            driver,
            _home: home,
        }
    }

    pub(crate) fn open(&self, url: &str) {
        self.runtime
            .block_on(self.client.goto(url))
            .expect("the page is there");
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub(crate) fn eval(&self, expression: &str) -> Value {
        self.run(&format!("return ({expression});"))
    }

    /// What a function body gives back in the page; a promise is waited for.
    #[track_caller]
    pub(crate) fn run(&self, body: &str) -> Value {
        let ran = self.runtime.block_on(self.client.execute(body, vec![]));
        ran.unwrap_or_else(|e| panic!("{body}: {e}"))
    }

    /// Waits until an expression holds.
    #[track_caller]
    pub(crate) fn until(&self, expression: &str) {
        let shown = RefCell::new(Value::Null);
        let look = format!("return [!!({expression}), document.body.innerText];");
        let holds = || {
            let looked = self.runtime.block_on(self.client.execute(&look, vec![]));
            let Ok(Value::Array(mut both)) = looked else {
                return None;
            };
            shown.replace(both.pop().unwrap_or_default());
            (both == [Value::Bool(true)]).then_some(())
        };
        let what = || format!("{expression}; the page shows {}", shown.borrow());
        within_or(PATIENCE, what, holds);
    }

    /// Clicks what a selector means, as a person does: it must be in sight, and nothing in front of it.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        within(PATIENCE, selector, || {
            let click = async {
                self.client
                    .find(Locator::Css(selector))
                    .await?
                    .click()
                    .await
            };
            self.runtime.block_on(click).ok()
        });
    }

    #[track_caller]
    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        let typing = async {
            self.client
                .find(Locator::Css(selector))
                .await?
                .send_keys(text)
                .await
        };
        self.runtime.block_on(typing).expect("it takes keys");
    }

    /// A command of the browser's own protocol.
    pub(crate) fn tell(&self, command: &str, params: Value) -> Value {
        let body = json!({ "cmd": command, "params": params });
        self.own("goog/cdp/execute", body)
    }

    fn own(&self, path: &'static str, body: Value) -> Value {
        self.runtime
            .block_on(self.client.issue_cmd(Own { path, body }))
            .expect("chromedriver does it")
    }

    /// The screen of a phone, or of a desk; light or dark.
    pub(crate) fn look_like(&self, phone: bool, dark: bool) {
        let (width, height) = if phone { (390, 844) } else { (1440, 900) };
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone }),
        );
        let scheme = if dark { "dark" } else { "light" };
        self.tell(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }, { "name": "prefers-reduced-motion", "value": "reduce" }] }),
        );
    }

    /// Writes a picture of what is in sight to `monitor-NAME.png`, where the variable `PICTURES` names a directory.
    pub(crate) fn keep(&self, name: &str) {
        if let Some(kept) = std::env::var_os("PICTURES").map(PathBuf::from) {
            let written = std::fs::write(kept.join(format!("monitor-{name}.png")), self.picture());
            written.expect("a picture is kept");
        }
    }

    pub(crate) fn picture(&self) -> Vec<u8> {
        self.runtime
            .block_on(self.client.screenshot())
            .expect("a picture")
    }

    /// Errors on the console since this was last asked.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.own("se/log", json!({ "type": "browser" }));
        let lines = log.as_array().cloned().unwrap_or_default();
        let severe = lines.iter().filter(|line| line["level"] == "SEVERE");
        severe.map(|line| line["message"].to_string()).collect()
    }

    /// What axe-core finds that keeps people out, if it is serious.
    pub(crate) fn barriers(&self) -> Vec<String> {
        // The page allows no script but its own; the browser's own protocol is not asked.
        let source = json!({ "expression": axe::source() });
        self.tell("Runtime.evaluate", source);
        let found = self.run("return axe.run(document, { resultTypes: ['violations'] }).then((found) => found.violations);");
        let violations = found.as_array().cloned().expect("a list");
        let serious = violations.iter().filter(|violation| {
            matches!(violation["impact"].as_str(), Some("serious" | "critical"))
        });
        serious
            .map(|violation| {
                let nodes = violation["nodes"].as_array().into_iter().flatten();
                let places: Vec<String> = nodes
                    .map(|node| format!("{} {}", node["target"], node["failureSummary"]))
                    .collect();
                format!("{}: {}", violation["id"], places.join("; "))
            })
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // With its session the browser ends, and then the driver may go.
        let _ = self.runtime.block_on(self.client.clone().close());
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
