//! Checks that the core compiles for phones: types and cfgs of `aarch64-linux-android` and
//! `aarch64-apple-ios`, not linking. Neither an NDK nor Xcode is needed.
//!
//! Debian's newer Rust comes with the source of the standard library, which `-Zbuild-std` compiles for
//! the target; elsewhere rustup adds the targets. C code (ring, SQLite) is compiled for Android against the
//! headers of an arm64 Linux; where a platform's headers are not to be had, a stand-in for the compiler
//! writes empty objects: nothing here is ever linked.

use crate::count::Count;
use crate::paths;
use crate::setup::{self, Tool};
use crate::step::{Missing, Step, cargo};
use anyhow::{Result, bail};
use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGETS: [&str; 2] = ["aarch64-linux-android", "aarch64-apple-ios"];
const ARM_HEADERS: &str = "/usr/aarch64-linux-gnu/include";

/// Whether the standard library for the targets comes from Debian's packages.
pub(crate) fn by_debian() -> bool {
    fs::read_to_string("/etc/os-release")
        .is_ok_and(|release| release.lines().any(|line| line == "ID=debian"))
}

/// Adds the targets to rustup's toolchain, where that is the way.
pub(crate) fn prepare(step: &Step) -> Result<()> {
    if by_debian() || has_targets() {
        return Ok(());
    }
    if paths::find("rustup").is_none() {
        return Err(no_targets());
    }
    step.run(Command::new("rustup").args(["target", "add"]).args(TARGETS))
}

fn no_targets() -> anyhow::Error {
    Missing(format!(
        "the Rust targets {} (rustup target add)",
        TARGETS.join(", ")
    ))
    .into()
}

fn has_targets() -> bool {
    let Ok(output) = Command::new("rustc").args(["--print", "sysroot"]).output() else {
        return false;
    };
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    TARGETS
        .iter()
        .all(|target| sysroot.join("lib/rustlib").join(target).is_dir())
}

/// Checks both targets, each in a target folder of its own.
pub(crate) fn run(step: &mut Step) -> Result<Count> {
    if by_debian() {
        Tool::PhoneCompilers.require()?;
    } else if !has_targets() {
        return Err(no_targets());
    }
    let stand_in = stand_in()?;
    let mut failed = Vec::new();
    for target in TARGETS {
        let mut command = if by_debian() { debian_cargo() } else { cargo() };
        command
            .args(["check", "--package", "tapcore", "--lib", "--target", target])
            .arg("--target-dir")
            .arg(paths::target().join("phones"));
        if by_debian() {
            command.arg("-Zbuild-std=std,panic_abort");
        }
        let name = target.replace('-', "_");
        command.env(format!("AR_{name}"), "llvm-ar");
        if target.ends_with("android") && Path::new(ARM_HEADERS).is_dir() {
            command.env(format!("CC_{name}"), "clang").env(
                format!("CFLAGS_{name}"),
                format!("--target=aarch64-linux-android24 -isystem {ARM_HEADERS}"),
            );
        } else {
            let sdk = paths::scratch().join("empty-sdk");
            fs::create_dir_all(&sdk)?;
            command
                .env(format!("CC_{name}"), &stand_in)
                .env("SDKROOT", sdk);
        }
        let (_, succeeded) = step.watch(&mut command)?;
        if !succeeded {
            failed.push(target);
        }
    }
    if !failed.is_empty() {
        bail!("the core does not compile for {}", failed.join(" and "));
    }
    Ok(Count::NONE)
}

/// Debian's own cargo and compiler, with nothing of the toolchain that runs this task.
fn debian_cargo() -> Command {
    let mut command = Command::new("/usr/bin/cargo");
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("RUSTUP_") || name == "CARGO" || name.starts_with("CARGO_PKG_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(paths::root())
        .env("PATH", crate::step::path_with(Path::new("/usr/bin")))
        .env("RUSTC", "/usr/bin/rustc")
        // The standard library is built by a flag that only a nightly compiler would take otherwise.
        .env("RUSTC_BOOTSTRAP", "1");
    command
}

/// Writes the stand-in for a C compiler: an empty object for every `-c`, clang for everything else.
fn stand_in() -> Result<PathBuf> {
    let path = paths::scratch().join("empty-objects-cc");
    let mut file = File::create(&path)?;
    file.write_all(
        b"#!/bin/sh\n\
          compiles=; out=; previous=\n\
          for word in \"$@\"; do\n\
            [ \"$word\" = -c ] && compiles=yes\n\
            [ \"$previous\" = -o ] && out=$word\n\
            previous=$word\n\
          done\n\
          if [ -n \"$compiles\" ] && [ -n \"$out\" ]; then exec clang -x c -c /dev/null -o \"$out\"; fi\n\
          exec clang \"$@\"\n",
    )?;
    file.set_permissions(fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Whether the check can run here without installing anything.
pub(crate) fn is_ready() -> bool {
    if by_debian() {
        Tool::PhoneCompilers.require().is_ok() && setup::succeeds("/usr/bin/cargo", &["--version"])
    } else {
        has_targets()
    }
}
