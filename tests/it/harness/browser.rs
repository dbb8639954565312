//! A real browser, headless and confined, and what it is told to do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::confined::{Confined, Furnishing};
use super::foreign::{end_by_stdin, python};

/// How long the browser may take for one thing.
const PATIENCE: Duration = Duration::from_mins(1);

/// The browser with whoever drives it; both end with this value.
pub struct Browser {
    driver: Child,
    hands: Option<ChildStdin>,
    said: Receiver<String>,
    _window: Confined,
}

impl Browser {
    /// Starts it. Where it is told `name` of a site, it finds that on this machine at `port`.
    pub fn start(sites: &[(&str, u16)]) -> Self {
        let rule = |(name, port): &(&str, u16)| format!("MAP {name}:443 127.0.0.1:{port} , ");
        let rules = sites.iter().map(rule).collect::<Vec<_>>().concat();
        let browser = Confined::start(&Furnishing {
            server: "browser",
            values: &[("SITES", &rules)],
            files: &[],
            ready: Some("ready"),
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/browser/browser.py");
        let mut driver = Command::new(python())
            .arg(script)
            .arg(browser.port().to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let (told, said) = channel();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).try_for_each(|line| told.send(line)).ok();
        });
        let hands = driver.stdin.take();
        let started = Self { driver, hands, said, _window: browser };
        started.heard();
        started
    }

    fn heard(&self) -> Value {
        let line = self.said.recv_timeout(PATIENCE).expect("the browser answers");
        serde_json::from_str(&line).unwrap()
    }

    /// Has it do something; what it answered, or what went wrong.
    pub fn try_do(&mut self, what: &str, mut with: Value) -> Result<Value, String> {
        with["do"] = json!(what);
        writeln!(self.hands.as_mut().unwrap(), "{with}").unwrap();
        let answer = self.heard();
        match answer.get("error") {
            Some(error) => Err(format!("{what} {with}: {error}")),
            None => Ok(answer),
        }
    }

    /// As [`Self::try_do`], for what must not go wrong.
    pub fn act(&mut self, what: &str, with: Value) -> Value {
        self.try_do(what, with).unwrap_or_else(|error| {
            let page = self.try_do("text", json!({})).unwrap_or_default();
            panic!("{error}\n{page}")
        })
    }

    /// A new window, with scripts or without.
    pub fn open(&mut self, js: bool) {
        self.act("open", json!({"js": js, "insecure": true, "width": 420, "height": 900}));
    }

    pub fn goto(&mut self, url: &str) {
        self.act("goto", json!({"url": url}));
    }

    pub fn fill(&mut self, label: &str, text: &str) {
        self.act("fill", json!({"label": label, "text": text}));
    }

    pub fn click(&mut self, role: &str, name: &str) {
        self.act("click", json!({"role": role, "name": name}));
    }

    pub fn text(&mut self) -> String {
        self.told("text")
    }

    pub fn url(&mut self) -> String {
        self.told("url")
    }

    pub fn tree(&mut self) -> String {
        self.told("tree")
    }

    fn told(&mut self, what: &str) -> String {
        self.act(what, json!({}))[what].as_str().unwrap().to_owned()
    }

    /// What axe-core finds wrong, a line each.
    pub fn violations(&mut self) -> Vec<String> {
        let found = self.act("axe", json!({}));
        let violations = found["violations"].as_array().unwrap();
        violations.iter().map(|one| format!("{}: {}", one["rule"], one["html"])).collect()
    }

    /// Keeps a picture of the page for people to look at.
    pub fn picture(&mut self, name: &str) {
        let path = pictures().join(format!("{name}.png"));
        self.act("screenshot", json!({"path": path, "full": true}));
    }

    /// What gets the focus as Tab is pressed, in its order.
    pub fn stops(&mut self) -> Vec<String> {
        let stops = self.act("tab", json!({}));
        let stops = stops["stops"].as_array().unwrap().iter();
        stops.map(|stop| stop.as_str().unwrap().to_owned()).collect()
    }

    /// What its console said since the last time, and everything it asked for: status and address.
    pub fn noticed(&mut self) -> (Vec<String>, Vec<(u64, String)>) {
        let heard = self.act("heard", json!({}));
        let texts = |value: &Value| {
            value.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
        };
        let requests = heard["requests"].as_array().unwrap().iter();
        let request =
            |pair: &Value| (pair[0].as_u64().unwrap(), pair[1].as_str().unwrap().to_owned());
        (texts(&heard["console"]), requests.map(request).collect())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.hands.take());
        end_by_stdin(&mut self.driver, Duration::from_secs(10));
    }
}

/// Where pictures are kept: below the target folder, so that they outlive the test and never the build.
pub fn pictures() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
