//! The demo's other processes: this same binary, started again as sandbox, phone and POS.
//!
//! Every child dies with its handle, however the demo ends. What a child prints for a person is kept and shown only
//! when the child fails.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Far longer than anything here takes; a demo that hangs says so instead.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a child gets to end by itself once asked.
const FAREWELL: Duration = Duration::from_secs(10);

/// A command line of this binary.
pub(super) fn arguments<const N: usize>(words: [&dyn AsRef<std::ffi::OsStr>; N]) -> Vec<OsString> {
    words.iter().map(|word| word.as_ref().to_owned()).collect()
}

/// What a command that has ended left.
pub(super) struct Ended {
    /// Exit code, `None` after a signal.
    pub(super) code: Option<i32>,
    /// Standard output.
    pub(super) out: String,
    /// Standard error.
    pub(super) err: String,
}

impl Ended {
    /// The one JSON object it printed, whatever its exit code.
    pub(super) fn json<T: DeserializeOwned>(&self, what: &str) -> anyhow::Result<T> {
        serde_json::from_str(self.out.trim())
            .ok()
            .with_context(|| format!("{what} gave no result: {}", last_line(&self.err)))
    }

    /// The same, of a command that must have succeeded.
    pub(super) fn done(self, what: &str) -> anyhow::Result<Self> {
        if self.code != Some(0) {
            bail!("{what} failed: {}", last_line(&self.err));
        }
        Ok(self)
    }
}

/// Runs a command to its end.
pub(super) async fn run(arguments: &[OsString]) -> anyhow::Result<Ended> {
    Running::start(arguments)?.end().await
}

/// A command that is still running, with its standard output line by line.
pub(super) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    err: JoinHandle<String>,
}

impl Running {
    /// Starts a command.
    pub(super) fn start(arguments: &[OsString]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program's own file cannot be found")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("a process of the demo cannot be started")?;
        let stdin = child.stdin.take();
        let stdout = child
            .stdout
            .take()
            .context("a process of the demo has no output")?;
        let mut stderr = child
            .stderr
            .take()
            .context("a process of the demo has no error output")?;
        let err = tokio::spawn(async move {
            let mut bytes = Vec::new();
            // What could not be read is not shown; the exit code decides.
            let _ = stderr.read_to_end(&mut bytes).await;
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Self {
            child,
            stdin,
            lines: BufReader::new(stdout).lines(),
            err,
        })
    }

    /// Writes one line to its standard input and ends that input.
    pub(super) async fn answer(&mut self, line: &str) -> anyhow::Result<()> {
        let mut stdin = self
            .stdin
            .take()
            .context("a process of the demo was answered twice")?;
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .context("a process of the demo does not listen")
    }

    /// Waits for the JSON line whose `event` is `name`; other lines are passed over.
    pub(super) async fn event(&mut self, name: &str, what: &str) -> anyhow::Result<Value> {
        let wanted = async {
            while let Some(line) = self.lines.next_line().await? {
                if let Ok(value) = serde_json::from_str::<Value>(&line)
                    && value.get("event").and_then(Value::as_str) == Some(name)
                {
                    return Ok(Some(value));
                }
            }
            anyhow::Ok(None)
        };
        match timeout(PATIENCE, wanted).await {
            Ok(Ok(Some(value))) => Ok(value),
            Ok(Ok(None)) => {
                let err = self.complaint().await;
                bail!("{what} ended early: {}", last_line(&err))
            }
            Ok(Err(why)) => Err(why).with_context(|| format!("{what} cannot be heard")),
            Err(_) => bail!(
                "{what} did not say `{name}` within {} seconds",
                PATIENCE.as_secs()
            ),
        }
    }

    /// Waits for an end that nobody wished for; answers what it said.
    pub(super) async fn early_end(&mut self) -> String {
        // Whether waiting fails or succeeds, the process is of no use any more.
        let _ = self.child.wait().await;
        last_line(&self.complaint().await).to_owned()
    }

    /// What it had to say to a person, once it has ended.
    async fn complaint(&mut self) -> String {
        timeout(FAREWELL, &mut self.err)
            .await
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default()
    }

    /// Waits until it ends by itself.
    pub(super) async fn end(mut self) -> anyhow::Result<Ended> {
        drop(self.stdin.take());
        let rest = async {
            let mut out = String::new();
            while let Some(line) = self.lines.next_line().await? {
                out.push_str(&line);
                out.push('\n');
            }
            let status = self.child.wait().await?;
            anyhow::Ok((status.code(), out))
        };
        let (code, out) = timeout(PATIENCE, rest).await.with_context(|| {
            format!(
                "a process of the demo did not end within {} seconds",
                PATIENCE.as_secs()
            )
        })??;
        Ok(Ended {
            code,
            out,
            err: self.err.await.unwrap_or_default(),
        })
    }

    /// Asks it to end (SIGTERM) and waits; one that does not is killed.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.stdin.take());
        #[cfg(unix)]
        if let Some(pid) = self
            .child
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()))
        {
            // Gone already is as good.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let ended = async {
            // Its last lines are read to the end, or it could wait for a reader.
            while let Ok(Some(_)) = self.lines.next_line().await {}
            self.child.wait().await
        };
        if timeout(FAREWELL, ended).await.is_err() {
            self.child
                .kill()
                .await
                .context("a process of the demo cannot be stopped")?;
        }
        Ok(())
    }
}

/// The last thing a process said, which by the command line's contract is the sentence that says what to do.
fn last_line(text: &str) -> &str {
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it said nothing")
}

/// Whether a folder is missing or empty, so that the demo may begin in it.
pub(super) fn is_fresh(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}
