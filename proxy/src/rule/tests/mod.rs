//! Rules against asking each of them in turn.

mod cases;
mod property;
mod reference;
