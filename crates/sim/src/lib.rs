//! The whole proxy core under virtual time, between scripted peers over a hostile network (development only).
