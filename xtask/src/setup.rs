//! What the steps need from the system, and how it gets there: apt on Debian and Ubuntu, Homebrew on
//! macOS. A step asks with [`Tool::require`]; only `test` and `setup` install, and say so before.

use crate::paths;
use crate::step::{Missing, Step};
use anyhow::Result;
use std::collections::BTreeSet;
use std::fs;
use std::io::{IsTerminal, stdin};
use std::path::Path;
use std::process::{Command, Stdio};

/// Something that a step needs from the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// A Java development kit.
    Java,
    /// Maven, which fetches everything else of the JVM.
    Maven,
    /// Python with virtual environments.
    Python,
    /// What puts a Debian release into a folder, for the Swift toolchain.
    Debootstrap,
    /// OpenSSL's headers, for the Swift tests where Swift is the machine's own.
    OpenSsl,
    /// Clang, linker and headers to check the phone targets.
    PhoneCompilers,
    /// The PC/SC daemon with a virtual reader.
    PcSc,
    /// A C++ compiler, which libFuzzer is built with.
    Cpp,
    /// A reader of symbols and a maker of one-time passwords, to compare with.
    Scanners,
}

impl Tool {
    fn describe(self) -> &'static str {
        match self {
            Self::Java => "a JDK, 17 or later",
            Self::Maven => "Maven",
            Self::Python => "Python 3 with venv",
            Self::Debootstrap => "debootstrap",
            Self::OpenSsl => "OpenSSL's headers",
            Self::PhoneCompilers => {
                "clang, and Rust's standard library in source, for phone targets"
            }
            Self::Cpp => "a C++ compiler",
            Self::Scanners => "zbarimg and oathtool",
            Self::PcSc => "pcscd, vsmartcard-vpcd and Python 3, all of them Debian's packages",
        }
    }

    fn is_there(self) -> bool {
        match self {
            Self::Java => succeeds("javac", &["-version"]),
            Self::Maven => succeeds("mvn", &["--version"]),
            Self::Python => succeeds("python3", &["-c", "import venv, ensurepip"]),
            Self::Debootstrap => system_tool("debootstrap").is_some(),
            Self::OpenSsl => Path::new("/usr/include/openssl/evp.h").is_file(),
            Self::PhoneCompilers => {
                let files = [
                    "/usr/bin/clang",
                    "/usr/bin/llvm-ar",
                    "/usr/aarch64-linux-gnu/include/stdio.h",
                    "/usr/bin/rustc",
                ];
                files.iter().all(|file| Path::new(file).exists()) && debian_rust_has_source()
            }
            Self::Cpp => succeeds("c++", &["--version"]),
            Self::Scanners => ["zbarimg", "oathtool"]
                .iter()
                .all(|program| succeeds(program, &["--version"])),
            Self::PcSc => {
                Path::new("/usr/lib/pcsc/drivers/serial/libifdvpcd.so").exists()
                    && system_tool("pcscd").is_some()
                    && succeeds("python3", &["--version"])
            }
        }
    }

    fn apt(self) -> &'static [&'static str] {
        match self {
            Self::Java => &["default-jdk-headless"],
            Self::Maven => &["maven"],
            Self::Python => &["python3", "python3-venv"],
            Self::Debootstrap => &["debootstrap"],
            Self::OpenSsl => &["libssl-dev"],
            Self::PhoneCompilers => &[
                "rustc-web",
                "cargo-web",
                "rust-web-src",
                "clang",
                "lld",
                "llvm",
                "libc6-dev-arm64-cross",
            ],
            Self::Cpp => &["g++"],
            Self::Scanners => &["zbar-tools", "oathtool"],
            Self::PcSc => &["pcscd", "vsmartcard-vpcd", "python3"],
        }
    }

    fn brew(self) -> &'static [&'static str] {
        match self {
            Self::Java => &["openjdk@17"],
            Self::Maven => &["maven"],
            Self::Python => &["python@3.12"],
            Self::Scanners => &["zbar", "oath-toolkit"],
            // Xcode brings Swift, a compiler for phones and one for C++; macOS has no virtual reader.
            Self::Debootstrap | Self::OpenSsl | Self::PhoneCompilers | Self::PcSc | Self::Cpp => {
                &[]
            }
        }
    }

    /// An error that names the tool, unless it is there.
    pub(crate) fn require(self) -> Result<()> {
        if self.is_there() {
            return Ok(());
        }
        Err(Missing(self.describe().to_owned()).into())
    }
}

/// Says what is about to be installed, and installs it. What may not be installed stays missing: the
/// step that needs it will say so.
pub(crate) fn install(wanted: &[Tool]) -> Result<()> {
    let absent: Vec<Tool> = wanted
        .iter()
        .copied()
        .filter(|tool| !tool.is_there())
        .collect();
    if absent.is_empty() {
        println!("setup: everything from the system is there");
        return Ok(());
    }
    let brew = cfg!(target_os = "macos");
    let packages: BTreeSet<&str> = absent
        .iter()
        .flat_map(|tool| if brew { tool.brew() } else { tool.apt() })
        .copied()
        .collect();
    let packages: Vec<&str> = packages.into_iter().collect();
    if packages.is_empty() {
        return Ok(());
    }
    let manager = if brew { "Homebrew" } else { "apt" };
    println!(
        "setup: about to install with {manager}: {}",
        packages.join(" ")
    );

    let step = Step::begin("setup")?;
    let installed = if brew {
        with_brew(&step, &packages)
    } else {
        with_apt(&step, &packages)
    };
    // Not the end: the rest of the steps still runs.
    step.report(&installed.map(|()| crate::count::Count::NONE));
    Ok(())
}

fn with_brew(step: &Step, packages: &[&str]) -> Result<()> {
    if paths::find("brew").is_none() {
        return Err(Missing("Homebrew, to install the packages named above".to_owned()).into());
    }
    step.run(Command::new("brew").arg("install").args(packages))
}

fn with_apt(step: &Step, packages: &[&str]) -> Result<()> {
    if paths::find("apt-get").is_none() {
        let text = format!("apt; install by hand: {}", packages.join(" "));
        return Err(Missing(text).into());
    }
    let apt = |arguments: &[&str]| -> Result<Command> {
        let mut command = as_root("env")?;
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .args(arguments);
        Ok(command)
    };
    // A source that has nothing to do with us may be unreachable; whether ours are shows in the next line.
    step.watch(&mut apt(&["update"])?)?;
    let mut install = apt(&["install", "-y", "--no-install-recommends"])?;
    step.run(install.args(packages))
}

/// A program run with the rights to install: as it is for root, else by sudo, which asks for a password
/// only where somebody sits at a terminal.
pub(crate) fn as_root(program: &str) -> Result<Command> {
    if is_root() {
        return Ok(Command::new(program));
    }
    let may_ask = stdin().is_terminal();
    if paths::find("sudo").is_none() || !(may_ask || succeeds("sudo", &["-n", "true"])) {
        let text = "the rights to install (run as root, or give this account sudo)";
        return Err(Missing(text.to_owned()).into());
    }
    if may_ask {
        // The steps run with their input closed, so the question is asked here, once.
        Command::new("sudo").arg("-v").status()?;
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    Ok(command)
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    id("-u").as_deref() == Some("0")
}

/// What `id FLAG` prints.
pub(crate) fn id(flag: &str) -> Option<String> {
    let output = Command::new("id").arg(flag).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a program exists, runs and is content.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// An administrator's program: its folder is often not in an ordinary account's PATH.
pub(crate) fn system_tool(name: &str) -> Option<std::path::PathBuf> {
    let places = ["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).join(name));
    paths::find(name).or_else(|| places.into_iter().find(|path| path.is_file()))
}

/// Whether Debian's newer Rust is there together with the source that `-Zbuild-std` compiles.
fn debian_rust_has_source() -> bool {
    fs::read_dir("/usr/lib/rustlib/src/rust/library").is_ok()
        || succeeds(
            "sh",
            &[
                "-c",
                "test -e \"$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library\"",
            ],
        )
}
