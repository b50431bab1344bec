//! Writes the Kotlin and Swift bindings from the built library.
//!
//! The generator is a workspace member of its own and reads the metadata that UniFFI leaves in the
//! library, so the library must not be stripped before. What it writes is never committed.

use crate::count::Count;
use crate::paths;
use crate::step::{Step, cargo};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the Kotlin source goes.
pub(crate) fn kotlin_folder() -> PathBuf {
    paths::root().join("bindings/kotlin/src/main/kotlin/generated")
}

/// Where the Swift source and the C header go.
pub(crate) fn swift_folders() -> (PathBuf, PathBuf) {
    let sources = paths::root().join("bindings/swift/Sources");
    (
        sources.join("Tapcore/generated"),
        sources.join("TapcoreFFI/generated"),
    )
}

/// Builds library, generator and the command line in the dev profile.
pub(crate) fn build(step: &Step) -> Result<()> {
    step.run(cargo().args(["build", "--workspace"]))
}

/// Builds, and writes both bindings.
pub(crate) fn run(step: &mut Step) -> Result<Count> {
    build(step)?;
    let library = paths::debug().join(paths::LIBRARY);
    let out = paths::scratch().join("bindings");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    let generator = paths::debug().join("tapcore-bindgen");
    // The generator asks cargo for the place of uniffi.toml: the same cargo as everything else uses.
    let path = cargo()
        .get_envs()
        .find_map(|(name, value)| (name == "PATH").then(|| value.map(ToOwned::to_owned))?);
    let mut generate = Command::new(generator);
    generate
        .current_dir(paths::root())
        .args(["generate", "-l", "kotlin", "-l", "swift", "--no-format"])
        .arg("--out-dir")
        .arg(&out)
        .arg(&library);
    if let Some(path) = path {
        generate.env("PATH", path);
    }
    step.run(&mut generate)?;

    replace(&[out.join("io/tapcore/tapcore.kt")], &kotlin_folder())?;
    let (swift, header) = swift_folders();
    replace(&[out.join("Tapcore.swift")], &swift)?;
    replace(&[out.join("TapcoreFFI.h")], &header)?;
    Ok(Count::NONE)
}

/// Copies files into a folder of generated source, touching only what changed: Maven and SwiftPM
/// then rebuild nothing when the facade stayed as it was.
fn replace(files: &[PathBuf], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for file in files {
        let Some(name) = file.file_name() else {
            bail!("{} is no file", file.display());
        };
        let new =
            fs::read(file).with_context(|| format!("the generator wrote no {}", file.display()))?;
        let place = folder.join(name);
        if fs::read(&place).ok().as_ref() != Some(&new) {
            fs::write(&place, new)?;
        }
    }
    Ok(())
}
