//! The derives of cluster.
