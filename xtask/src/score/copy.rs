//! A second checkout under `target/prove`, to break code in: the developer's own tree is never touched.
//!
//! It holds what git tracks or would track, as it lies in the working tree now, and builds into a target folder of
//! its own. A file is written only where it differs, so that each build takes up where the last one ended.

use crate::paths;
use crate::step::{Step, cargo};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// No test of the score card takes this long: the mutation made it hang.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// The copy.
pub(super) struct Copy {
    tree: PathBuf,
    build: PathBuf,
}

/// How a test run ended.
pub(super) enum Ran {
    /// By itself, with this output.
    Ended(String),
    /// It had to be ended.
    TooLong,
}

impl Copy {
    /// Brings the copy up to date.
    pub(super) fn make() -> Result<Self> {
        let folder = paths::target().join("prove");
        let copy = Self {
            tree: folder.join("tree"),
            build: folder.join("build"),
        };
        let tracked = tracked(&paths::root())?;
        for path in &tracked {
            copy.take(path)?;
        }
        let kept: BTreeSet<_> = tracked.iter().map(|path| copy.tree.join(path)).collect();
        remove_others(&copy.tree, &kept)?;
        Ok(copy)
    }

    /// Every Rust file of the copy, with its text.
    pub(super) fn sources(&self) -> Result<Vec<String>> {
        let rust = tracked(&paths::root())?
            .into_iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
        rust.map(|path| Ok(fs::read_to_string(self.tree.join(path))?))
            .collect()
    }

    /// The text of a file.
    pub(super) fn read(&self, file: &str) -> Result<String> {
        let path = self.tree.join(file);
        fs::read_to_string(&path).with_context(|| format!("no {file}"))
    }

    /// Changes a file until what is returned is dropped.
    pub(super) fn change(&self, file: &str, text: &str) -> Result<Changed> {
        let path = self.tree.join(file);
        let original = fs::read(&path)?;
        fs::write(&path, text)?;
        Ok(Changed { path, original })
    }

    /// Builds tests; answers whether they compile.
    pub(super) fn compiles(&self, step: &Step, selection: &[&str]) -> Result<bool> {
        let mut command = self.cargo("test", selection, &["--no-run"]);
        Ok(step.watch(&mut command)?.1)
    }

    /// Runs tests that were built.
    pub(super) fn test(&self, step: &Step, selection: &[&str], filters: &[&str]) -> Result<Ran> {
        let log = self.build.join("tests.log");
        fs::create_dir_all(&self.build)?;
        let file = fs::File::create(&log)?;
        let mut command = self.cargo("test", selection, &["--no-fail-fast", "--"]);
        command
            .args(filters)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        // A group of its own, because the tests, which cargo starts, must end with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().context("cannot start cargo")?;
        let begun = Instant::now();
        while child.try_wait()?.is_none() {
            if begun.elapsed() > LIMIT {
                if cfg!(unix) {
                    let group = format!("-{}", child.id());
                    Command::new("kill")
                        .args(["-KILL", "--", &group])
                        .status()?;
                }
                // Where there are no groups, this ends cargo at least.
                drop(child.kill());
                child.wait()?;
                return Ok(Ran::TooLong);
            }
            thread::sleep(Duration::from_millis(20));
        }
        let output = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        step.note(&output)?;
        Ok(Ran::Ended(output))
    }

    fn cargo(&self, task: &str, selection: &[&str], more: &[&str]) -> Command {
        let mut command = cargo();
        command
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.build)
            .arg(task)
            .args(selection)
            .args(more);
        command
    }

    fn take(&self, path: &Path) -> Result<()> {
        let (from, to) = (paths::root().join(path), self.tree.join(path));
        let new = match fs::read(&from) {
            Ok(new) => new,
            // Deleted and not yet committed.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return match fs::remove_file(&to) {
                    Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
                    _ => Ok(()),
                };
            }
            Err(error) => return Err(error).with_context(|| from.display().to_string()),
        };
        if fs::read(&to).is_ok_and(|old| old == new) {
            return Ok(());
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        // With its permissions: scripts stay executable.
        fs::copy(&from, &to).with_context(|| to.display().to_string())?;
        Ok(())
    }
}

/// A changed file, which gets its old text back when this is dropped.
pub(super) struct Changed {
    path: PathBuf,
    original: Vec<u8>,
}

impl Drop for Changed {
    fn drop(&mut self) {
        // Should it fail, the next run brings the copy up to date before anything else.
        if let Err(error) = fs::write(&self.path, &self.original) {
            eprintln!("{}: {error}", self.path.display());
        }
    }
}

/// The paths that git tracks, and new ones that it does not ignore, relative to the checkout.
fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start git")?;
    if !listed.status.success() {
        bail!("git does not list the files of {}", root.display());
    }
    let names = String::from_utf8(listed.stdout)?;
    let names = names.split('\0').filter(|name| !name.is_empty());
    Ok(names.map(PathBuf::from).collect())
}

/// Removes files that are no longer tracked: cargo would find tests and modules in them.
fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_others(&entry.path(), kept)?;
        } else if !kept.contains(&entry.path()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
