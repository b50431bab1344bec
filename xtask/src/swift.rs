//! The Swift step: the generated binding and its tests, the iOS shell's view models with theirs, and the
//! grammar of the SwiftUI files, which nothing but Xcode can compile.
//!
//! macOS has Swift from Xcode, and a Linux machine may have it in PATH. Debian does not before release 13;
//! there the toolchain is put into a folder of the cache, and run in it by chroot. Installing it takes root;
//! running it does not, where the system has user namespaces. The checkout is mounted inside, in a mount
//! namespace that ends with the command: nothing stays mounted when it is interrupted.

use crate::bindings;
use crate::count::{self, Count};
use crate::paths;
use crate::setup::{self, Tool};
use crate::step::{Missing, Step};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The Debian release whose Swift is used, and what goes into the folder with it. OpenSSL gives the
/// tests' software key store its P-256.
const RELEASE: &str = "trixie";
const PACKAGES: &str =
    "swiftlang,libc6-dev,libstdc++-14-dev,libncurses6,libssl-dev,ca-certificates";

/// Packages with XCTest tests.
const TESTED: [&str; 2] = ["bindings/swift", "ios/TapcoreShell"];
/// Folder of the SwiftUI files.
const VIEWS: &str = "ios/App";

const NAME: &str = "swift-6.0";

/// Where checkout and target folder are seen inside: folders that every Debian has, so that nothing has to
/// be made there.
const ROOT_INSIDE: &str = "/mnt";
const TARGET_INSIDE: &str = "/srv";

/// Where the toolchain is, if it is here.
fn installed() -> Option<PathBuf> {
    [paths::cache(), PathBuf::from(paths::SHARED_CACHE)]
        .map(|cache| cache.join(NAME))
        .into_iter()
        .find(|folder| folder.is_dir())
}

/// Where it goes: what root fetches serves every account.
fn cache() -> PathBuf {
    if setup::is_root() {
        PathBuf::from(paths::SHARED_CACHE)
    } else {
        paths::cache()
    }
}

fn is_in_path() -> bool {
    setup::succeeds("swift", &["--version"])
}

/// Whether a toolchain still has to be fetched.
pub(crate) fn is_absent() -> bool {
    !is_in_path() && installed().is_none()
}

/// What the step needs from the system.
pub(crate) fn tools() -> &'static [Tool] {
    if cfg!(target_os = "macos") {
        &[]
    } else if is_in_path() {
        &[Tool::OpenSsl]
    } else if installed().is_some() {
        &[]
    } else {
        &[Tool::Debootstrap]
    }
}

/// What is fetched, as a line for a person.
pub(crate) fn announcement() -> String {
    format!(
        "the Swift toolchain (about 1 GB to fetch, 2.6 GB on disk) into {}",
        cache().display()
    )
}

/// Puts the toolchain into its folder, under another name until it is whole.
pub(crate) fn prepare(step: &Step) -> Result<()> {
    if !is_absent() {
        return Ok(());
    }
    let Some(debootstrap) = setup::system_tool("debootstrap") else {
        return Err(no_swift());
    };
    let mirror = debian_mirror().ok_or_else(no_swift)?;
    fs::create_dir_all(cache())?;
    let part = cache().join(format!("{NAME}.part"));
    // What an interrupted run left.
    step.run(setup::as_root("rm")?.arg("-rf").arg(&part))?;
    step.run(
        setup::as_root("env")?
            .arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin")
            .arg(debootstrap)
            .arg("--variant=minbase")
            .arg(format!("--include={PACKAGES}"))
            .arg(RELEASE)
            .arg(&part)
            .arg(mirror),
    )?;
    step.run(
        setup::as_root("sh")?
            .args([
                "-c",
                "rm -f \"$1\"/var/cache/apt/archives/*.deb && mv \"$1\" \"$2\"",
                "sh",
            ])
            .arg(&part)
            .arg(cache().join(NAME)),
    )
}

fn no_swift() -> anyhow::Error {
    let text = "Swift 5.9 or later (on Debian `cargo xtask setup` installs it; elsewhere put it into PATH)";
    Missing(text.to_owned()).into()
}

/// Writes the bindings and runs every package.
pub(crate) fn run(step: &mut Step) -> Result<Count> {
    if is_absent() {
        return Err(no_swift());
    }
    for tool in tools() {
        tool.require()?;
    }
    bindings::run(step)?;
    let mut failed = Vec::new();
    for package in TESTED {
        let (log, succeeded) = step.watch(&mut swift(package, &["test"])?)?;
        let count = count::swift(&log);
        step.counted += count;
        if !succeeded || count.passed == 0 {
            failed.push(package);
        }
    }
    if !failed.is_empty() {
        bail!("the Swift tests failed in {}", failed.join(" and "));
    }
    parse_views(step)?;
    Ok(step.counted)
}

fn parse_views(step: &Step) -> Result<()> {
    let views = paths::root().join(VIEWS);
    let mut files: Vec<OsString> = Vec::new();
    for file in fs::read_dir(&views).with_context(|| format!("no {}", views.display()))? {
        let path = file?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "swift")
        {
            files.extend(path.file_name().map(ToOwned::to_owned));
        }
    }
    let (mut command, _) = swift_tool(VIEWS, "swiftc")?;
    step.run(command.args(["-frontend", "-parse"]).args(files))
}

/// `swift SUBCOMMAND` in a package. Its build folder lies under target/, like every other one.
fn swift(package: &str, arguments: &[&str]) -> Result<Command> {
    let (mut command, target) = swift_tool(package, "swift")?;
    let build = target.join("swift").join(package.replace('/', "-"));
    command.args(arguments).arg("--scratch-path").arg(build);
    Ok(command)
}

/// A tool of the toolchain, started in a folder of the checkout, and the target folder as it sees it.
fn swift_tool(package: &str, tool: &str) -> Result<(Command, PathBuf)> {
    if is_in_path() {
        let mut command = Command::new(tool);
        command
            .current_dir(paths::root().join(package))
            .env("TAPCORE_BUILD", paths::debug());
        return Ok((command, paths::target()));
    }

    let toolchain = installed().ok_or_else(no_swift)?;
    let by_namespace = !setup::is_root() && has_user_namespaces();
    let mut command = if by_namespace {
        Command::new("env")
    } else {
        setup::as_root("env")?
    };
    command.args(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "unshare", "--mount"]);
    // What is written must belong to the person who runs this. In a user namespace "root" is that person.
    let mut chroot = "chroot".to_owned();
    if by_namespace {
        command.args(["--user", "--map-root-user", "--pid", "--fork"]);
    } else if let (Some(user), Some(group)) = (setup::id("-u"), setup::id("-g")) {
        chroot.push_str(&format!(" --userspec={user}:{group}"));
    }
    // A temporary folder of its own: SwiftPM's lock files would otherwise belong to whoever ran it first.
    command
        .args(["sh", "-c"])
        .arg(format!(
            "set -e; inside=$1; root=$2; target=$3; shift 3\n\
             mount -t proc proc \"$inside/proc\"\n\
             mount -t tmpfs -o mode=1777 tmpfs \"$inside/tmp\"\n\
             mount --bind \"$root\" \"$inside{ROOT_INSIDE}\"\n\
             mount --bind \"$target\" \"$inside{TARGET_INSIDE}\"\n\
             exec {chroot} \"$inside\" /usr/bin/env -i \"$@\""
        ))
        .arg("sh")
        .arg(toolchain)
        .arg(paths::root())
        .arg(paths::target())
        .args(["PATH=/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8"])
        .arg(format!("TAPCORE_BUILD={TARGET_INSIDE}/debug"))
        .args(["sh", "-c", "cd \"$1\"; shift; exec \"$@\"", "sh"])
        .arg(format!("{ROOT_INSIDE}/{package}"))
        .arg(tool);
    Ok((command, PathBuf::from(TARGET_INSIDE)))
}

fn has_user_namespaces() -> bool {
    setup::succeeds(
        "unshare",
        &[
            "--user",
            "--map-root-user",
            "--mount",
            "--pid",
            "--fork",
            "true",
        ],
    )
}

/// The mirror that this machine's own packages come from.
fn debian_mirror() -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    if !release.lines().any(|line| line == "ID=debian") {
        return None;
    }
    let deb822 = fs::read_to_string("/etc/apt/sources.list.d/debian.sources").unwrap_or_default();
    let lines = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    let of_deb822 = deb822
        .lines()
        .filter_map(|line| line.strip_prefix("URIs:"))
        .filter_map(|line| line.split_whitespace().next());
    let of_lines = lines
        .lines()
        .filter(|line| line.starts_with("deb "))
        .filter_map(|line| line.split_whitespace().find(|word| word.contains("://")));
    let uri = of_deb822
        .chain(of_lines)
        .find(|uri| !uri.contains("security"))?;
    match uri.strip_prefix("mirror+file:") {
        // Cloud images name a file that lists the mirrors.
        Some(file) => {
            let list = fs::read_to_string(file).ok()?;
            let mirror = list.split_whitespace().next()?;
            Some(mirror.to_owned())
        }
        None => Some(uri.to_owned()),
    }
}
