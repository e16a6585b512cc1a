//! What tests are made of: a proxy in a process of its own, clients and origins that speak raw bytes.

#![allow(dead_code, unused_imports, reason = "a set of tools, not all of them in use at any time")]

pub mod config;
pub mod confine;
pub mod dir;
#[macro_use]
pub mod driver;
pub mod exchange;
pub mod log;
pub mod message;
pub mod origin;
pub mod proxy;
pub mod replies;
pub mod script;
pub mod taken;
pub mod tool;
pub mod wait;
pub mod wire;

pub use config::Setup;
pub use confine::Confine;
pub use dir::Dir;
pub use driver::Driver;
pub use message::{End, Request, Response};
pub use origin::Origin;
pub use proxy::Proxy;
pub use script::Step;
pub use tool::Tool;
pub use wait::{Gate, PATIENCE, eventually};
pub use wire::{Client, Wire};
