//! The command line from outside: the real program, its processes, folders, ports and exit codes.
//!
//! `contract`, `pos`, `wire` and `decode` hold it to its documented forms, `vectors` to test vectors, `profiles` every
//! scheme to the same payments; in `vpcd` the phone is a card in a virtual PC/SC reader. `faults` are refusals and false
//! servers, `damage` is lost or old data, `offline` takes the provider away. The files named `codes…` are about payment
//! codes: at the till, as pictures, without a network, and the shop's own. `person` and `password` are what only the person
//! knows or has, `lifecycle` and `second_phone` what becomes of cards and phones; `traces` and `logging` look for secrets
//! where none may be.
//!
//! A name that begins with `sNN_` is a proof of that line of the score card.

mod codes;
mod codes_merchant;
mod codes_offline;
mod codes_pictures;
mod common;
mod contract;
mod damage;
mod decode;
mod erasure;
mod faults;
mod field;
mod lifecycle;
mod logging;
mod offline;
mod password;
mod person;
mod pos;
mod process;
mod profiles;
mod relay;
mod second_phone;
mod traces;
mod vectors;
mod verified_taps;
mod vpcd;
mod wire;
