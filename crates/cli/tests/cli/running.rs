//! A quickstart that runs, and a client of its cluster.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use http::Method;
use ringwall_base::SecretString;
use ringwall_rest::http_client::{HttpClient, HttpResponse};
use ringwall_settings::VerificationMode;
use ringwall_tls::{SslContext, ToolTrust};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::home::{Outcome, ringwall};

/// Far more than any step takes on an idle machine.
const WITHIN: Duration = Duration::from_secs(120);

/// `ringwall quickstart`, killed when dropped: its nodes then stop by themselves.
pub struct Quickstart {
    child: Option<Child>,
    /// The content of `quickstart.json`.
    pub told: Value,
}

impl Quickstart {
    /// Starts one node, with an index of one document, below a directory.
    #[track_caller]
    pub fn one_node(dir: &Path) -> Self {
        let data = dir.join("one.ndjson");
        fs::write(&data, "{\"a\":1}\n").unwrap();
        let data = data.to_str().unwrap();
        let arguments = [
            "--nodes",
            "1",
            "--http-port",
            "0",
            "--no-console",
            "--data",
            data,
        ];
        Self::start(&dir.join("site"), &arguments)
    }

    /// Starts it and waits for `quickstart.json`.
    #[track_caller]
    pub fn start(dir: &Path, arguments: &[&str]) -> Self {
        let mut command = ringwall();
        command
            .arg("quickstart")
            .arg("--dir")
            .arg(dir)
            .args(arguments);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let file = dir.join("quickstart.json");
        let begun = Instant::now();
        while !file.exists() {
            let has_ended = child.try_wait().unwrap().is_some();
            if has_ended || begun.elapsed() > WITHIN {
                // It stops its nodes, and says why. One that has ended takes no signal.
                if !has_ended {
                    signal(child.id(), Signal::TERM);
                }
                panic!("{:?}", finish(child));
            }
            std::thread::sleep(POLL);
        }
        // Written whole: what is there can be read.
        let told = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        Self {
            child: Some(child),
            told,
        }
    }

    /// Returns the process ids of the nodes.
    pub fn pids(&self) -> Vec<u32> {
        let nodes = self.told["nodes"].as_array().unwrap();
        nodes
            .iter()
            .map(|node| node["pid"].as_u64().unwrap() as u32)
            .collect()
    }

    /// Returns the home of a node, from 0.
    pub fn home(&self, node: usize) -> PathBuf {
        self.told["nodes"][node]["home"].as_str().unwrap().into()
    }

    /// Returns the base URL of a node, from 0.
    pub fn url(&self, node: usize) -> &str {
        self.told["nodes"][node]["http"].as_str().unwrap()
    }

    /// Returns the login page of the console, which the CA of the cluster vouches for.
    pub fn console_login_page(&self) -> String {
        let ca = self.told["ca"].as_str().unwrap().into();
        let tls =
            SslContext::for_tools("test", ToolTrust::CaFiles(vec![ca]), VerificationMode::Full)
                .unwrap();
        let url = self.told["console"].as_str().unwrap();
        let client = HttpClient::new(url, Some(tls), None).unwrap();
        let answer = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(client.request(Method::GET, "/login", None, ""))
            .unwrap();
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    /// Returns a password that `elastic` had when the cluster was set up.
    pub fn password(&self) -> SecretString {
        self.told["password"].as_str().unwrap().into()
    }

    /// Sends a request to a node, from 0.
    pub fn ask(
        &self,
        node: usize,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> HttpResponse {
        self.ask_as("elastic", &self.password(), node, method, path, body)
    }

    /// As [`Quickstart::ask`], as another user.
    #[track_caller]
    pub fn ask_as(
        &self,
        user: &str,
        password: &SecretString,
        node: usize,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> HttpResponse {
        let ca = self.told["ca"].as_str().unwrap().into();
        let tls =
            SslContext::for_tools("test", ToolTrust::CaFiles(vec![ca]), VerificationMode::Full)
                .unwrap();
        let client = HttpClient::new(self.url(node), Some(tls), Some((user, password))).unwrap();
        let content_type = body.as_ref().map(|_| "application/json");
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(client.request(method, path, content_type, body))
            .unwrap()
    }

    /// Asks the first node with another `Authorization` header than that of a user.
    pub fn ask_with(&self, authorization: &str, path: &str) -> HttpResponse {
        let ca = self.told["ca"].as_str().unwrap().into();
        let tls =
            SslContext::for_tools("test", ToolTrust::CaFiles(vec![ca]), VerificationMode::Full)
                .unwrap();
        let client = HttpClient::new(self.url(0), Some(tls), None)
            .unwrap()
            .with_authorization(&authorization.into());
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(client.request(Method::GET, path, None, ""))
            .unwrap()
    }

    /// Sends SIGTERM and returns what it printed; all nodes are gone by then.
    #[track_caller]
    pub fn stop(mut self) -> Outcome {
        let child = self.child.take().unwrap();
        signal(child.id(), Signal::TERM);
        let outcome = finish(child);
        for pid in self.pids() {
            assert!(!is_running(pid), "{pid} still runs after {outcome:?}");
        }
        outcome
    }

    /// Waits until it has ended because its nodes did, and returns what it printed.
    pub fn stop_after_its_nodes(mut self) -> Outcome {
        finish(self.child.take().unwrap())
    }

    /// Kills it with SIGKILL, and waits until its nodes have stopped by themselves.
    #[track_caller]
    pub fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let begun = Instant::now();
        while self.pids().into_iter().any(is_running) {
            assert!(
                begun.elapsed() < WITHIN,
                "nodes outlive the command that started them"
            );
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Quickstart {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends a signal to a process of the test.
pub fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

/// Returns whether a process runs. One that ended and was not waited for yet does not: the nodes of
/// a killed command are waited for by init, which some containers do not have.
pub fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    !state.is_empty() && !state.starts_with('Z')
}

fn finish(mut child: Child) -> Outcome {
    let mut text = (String::new(), String::new());
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text.0)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text.1)
        .unwrap();
    Outcome {
        status: child.wait().unwrap().code().unwrap_or(-1),
        stdout: text.0,
        stderr: text.1,
    }
}

const POLL: Duration = Duration::from_millis(20);
