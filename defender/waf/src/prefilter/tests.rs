//! What the filter leaves out cannot hold.
