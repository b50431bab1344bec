//! The wallet on a phone that things happen to.

mod person;
mod phone;
mod standing;
mod tap;
