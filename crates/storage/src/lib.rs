//! SQL schema, CSV in and out, the journal of call records and its shipping.
