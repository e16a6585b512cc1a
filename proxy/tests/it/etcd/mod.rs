//! The etcd source against a real etcd, which each test starts for itself and kills at its end.
//!
//! ```text
//! test -> etcdctl, or a client of its own -> etcd <- (a relay that can be cut) <- follow -> View (what was sent)
//! ```

mod down;
mod followed;
mod follower;
mod relay;
mod security;
mod served;
mod server;
mod start;
mod storm;

use follower::Follower;
use relay::Relay;
use server::Etcd;
