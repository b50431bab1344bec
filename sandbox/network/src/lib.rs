//! The payment network with its token service: it turns cards into tokens, gives phones their limited-use keys, checks
//! every cryptogram and routes what is right to the bank behind the token.

pub mod certificate;
pub mod derive;
pub mod number;
pub mod profile;
