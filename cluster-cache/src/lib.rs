//! The shared cache of cluster.
