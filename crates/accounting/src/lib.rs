//! Call detail records and exact rating, without I/O.
