//! The network over its API: authorisations and the token service, with a real bank behind it.

mod authorisations;
mod checks;
mod common;
mod cpm;
mod limits;
mod makers;
mod merchants;
mod on_file;
mod on_file_crashes;
mod schemes;
mod states;
mod tokens;
