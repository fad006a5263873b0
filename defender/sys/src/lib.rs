//! The only unsafe code of the Defender. Everything that leaves this crate is safe to call.
