//! The command line from outside: the real program, its processes, folders, ports and exit codes.
//!
//! `contract`, `pos` and `wire` hold it to its documented forms, `vectors` to test vectors. `faults` are refusals and
//! false servers, `damage` is lost or old data, `offline` takes the provider away.

mod common;
mod contract;
mod damage;
mod faults;
mod field;
mod offline;
mod pos;
mod process;
mod relay;
mod vectors;
mod wire;
