//! Door sign to come.
fn main() {}
