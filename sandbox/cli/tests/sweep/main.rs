//! Faults of the disk and of the key store at every step of the core, power cuts, lost and older files: whatever comes, no
//! ATC leaves twice, no alias is shown twice, nothing acknowledged is lost, and a person is told what helps.
//!
//! `TAPCORE_SWEEP=full` sweeps every point; without it, the first few of each operation and then fewer. Each test prints
//! what it has swept. A message of a failure names operation, fault and loss; random losses take the point as their seed,
//! so a failure can be repeated.
//!
//! The core runs in this process on a disk that fails on demand (`fault-vfs`); the sandbox is a process of its own.

// Shared with the command line's tests; not all of it is used here.
#[allow(dead_code, unused_imports)]
#[path = "../cli/common.rs"]
mod common;
#[allow(dead_code)]
#[path = "../cli/field.rs"]
mod field;
#[allow(dead_code)]
#[path = "../cli/process.rs"]
mod process;
#[allow(dead_code)]
#[path = "../cli/relay.rs"]
mod relay;

mod anchor;
mod arming;
mod codes;
mod engine;
mod lifecycle;
mod operations;
mod oracle;
mod person;
mod phone;
mod provider;
mod restore;
mod wal;
