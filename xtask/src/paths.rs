//! Where things lie: the checkout, its target folder, and the person's cache folder for toolchains.

use std::env;
use std::path::{Path, PathBuf};

/// The checkout: cargo says where this package lies. A task that is started without cargo works on the
/// checkout that it was built from.
pub(crate) fn root() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest
        .parent()
        .map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// The target folder, where `CARGO_TARGET_DIR` may have moved it.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// What the dev profile builds.
pub(crate) fn debug() -> PathBuf {
    target().join("debug")
}

/// Logs and scratch files of these tasks.
pub(crate) fn scratch() -> PathBuf {
    target().join("xtask")
}

/// Toolchains that are too large to fetch again for every checkout.
pub(crate) fn cache() -> PathBuf {
    let home = || env::var_os("HOME").map(PathBuf::from);
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(folder) => Some(PathBuf::from(folder)),
        None if cfg!(target_os = "macos") => home().map(|home| home.join("Library/Caches")),
        None => home().map(|home| home.join(".cache")),
    };
    base.unwrap_or_else(scratch).join("tapcore")
}

/// The same for every account of the machine, where root may write.
pub(crate) const SHARED_CACHE: &str = "/var/cache/tapcore";

/// The file name that the system gives to the core's shared library.
pub(crate) const LIBRARY: &str = if cfg!(target_os = "macos") {
    "libtapcore.dylib"
} else {
    "libtapcore.so"
};

/// Looks a program up as a shell would.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}
