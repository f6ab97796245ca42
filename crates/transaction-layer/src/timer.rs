//! The timers of the transaction layer and their durations.
//! RFC 3261 §17 and table 4 of its appendix A; RFC 6026 §7 for Timers L and M.
//! Leaves out Timer C, which belongs to the proxy core (RFC 3261 §16.6 step 11), and the wheel that runs them.

/// A timer of a transaction, by its RFC letter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Timer {
    /// INVITE client: sends the request again over UDP; T1, doubling (§17.1.1.2).
    A,
    /// INVITE client: gives up when nothing was heard for 64·T1 (§17.1.1.2).
    B,
    /// INVITE client: keeps the ACK for repeated non-2xx finals; at least 32 s over UDP (§17.1.1.2).
    D,
    /// Non-INVITE client: sends the request again over UDP; T1, doubling up to T2 (§17.1.2.2).
    E,
    /// Non-INVITE client: gives up when no final came within 64·T1 (§17.1.2.2).
    F,
    /// INVITE server: sends the non-2xx final again over UDP; T1, doubling up to T2 (§17.2.1).
    G,
    /// INVITE server: gives up waiting for the ACK after 64·T1 (§17.2.1).
    H,
    /// INVITE server: absorbs repeated ACKs for T4 over UDP (§17.2.1).
    I,
    /// Non-INVITE server: answers repeated requests for 64·T1 over UDP (§17.2.2).
    J,
    /// Non-INVITE client: absorbs repeated responses for T4 over UDP (§17.1.2.2).
    K,
    //= RFC 6026 §7.1: Timer L keeps the server transaction of an INVITE after its 2xx, so that repetitions are absorbed
    /// INVITE server: absorbs repeated INVITEs for 64·T1 after a 2xx (RFC 6026 §7.1).
    L,
    //= RFC 6026 §7.2: Timer M keeps the client transaction of an INVITE after its 2xx, so that further ones get through
    /// INVITE client: passes on further 2xx responses for 64·T1 after the first (RFC 6026 §7.2).
    M,
}

/// The base values from which all timers follow. Each must be above 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerConfig {
    /// T1, the estimate of the round trip, µs. RFC 3261 §17.1.1.1: 500 ms.
    pub t1_us: u64,
    /// T2, the longest interval between repeated non-INVITE requests and INVITE responses, µs. §17.1.2.2: 4 s.
    pub t2_us: u64,
    /// T4, how long a message may stay in the network, µs. §17.1.2.2: 5 s.
    pub t4_us: u64,
    /// Timer D over UDP, µs. §17.1.1.2: at least 32 s, whatever T1 is.
    pub timer_d_us: u64,
}

impl Default for TimerConfig {
    fn default() -> Self {
        Self {
            t1_us: 500_000,
            t2_us: 4_000_000,
            t4_us: 5_000_000,
            timer_d_us: 32_000_000,
        }
    }
}

impl TimerConfig {
    /// 64·T1, µs: Timers B, F, H, J, L and M.
    #[must_use]
    pub fn t1_times_64_us(&self) -> u64 {
        self.t1_us.saturating_mul(64)
    }

    //= RFC 4320 §4.1: the time that Timer E of a client transaction over UDP takes to be reset to T2
    /// How long after its first request a client transaction over UDP resets Timer E to T2, µs: 3.5 s by default
    /// (RFC 4320 §4.1, RFC 3261 §17.1.2.2).
    #[must_use]
    pub fn timer_e_at_t2_us(&self) -> u64 {
        let (mut interval_us, mut elapsed_us) = (self.t1_us.max(1), 0_u64);
        while interval_us < self.t2_us {
            elapsed_us = elapsed_us.saturating_add(interval_us);
            interval_us = interval_us.saturating_mul(2);
        }
        elapsed_us
    }

    /// How long `timer` runs when it is started for the first time over an unreliable or a reliable transport, µs.
    /// `None`: it is not started over that transport.
    pub(crate) fn first_us(&self, timer: Timer, is_reliable: bool) -> Option<u64> {
        match timer {
            Timer::A | Timer::E | Timer::G => (!is_reliable).then_some(self.t1_us),
            Timer::B | Timer::F | Timer::H | Timer::L | Timer::M => Some(self.t1_times_64_us()),
            Timer::D if !is_reliable => Some(self.timer_d_us),
            Timer::I | Timer::K if !is_reliable => Some(self.t4_us),
            Timer::J if !is_reliable => Some(self.t1_times_64_us()),
            Timer::D | Timer::I | Timer::J | Timer::K => Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //= proves RFC 4320 §4.1
    #[test]
    fn timer_e_reaches_t2_after_three_requests_and_a_half_second() {
        let config = TimerConfig::default();
        assert_eq!(config.timer_e_at_t2_us(), 500_000 + 1_000_000 + 2_000_000);
        let quick = TimerConfig {
            t1_us: 100_000,
            ..config
        };
        assert_eq!(quick.timer_e_at_t2_us(), 6_300_000);
        let slow = TimerConfig {
            t1_us: 4_000_000,
            ..config
        };
        assert_eq!(slow.timer_e_at_t2_us(), 0, "it begins with T2");
    }

    #[test]
    fn the_first_durations_are_those_of_table_4() {
        let config = TimerConfig::default();
        let rows = [
            (Timer::A, Some(500_000), None),
            (Timer::B, Some(32_000_000), Some(32_000_000)),
            (Timer::D, Some(32_000_000), Some(0)),
            (Timer::E, Some(500_000), None),
            (Timer::F, Some(32_000_000), Some(32_000_000)),
            (Timer::G, Some(500_000), None),
            (Timer::H, Some(32_000_000), Some(32_000_000)),
            (Timer::I, Some(5_000_000), Some(0)),
            (Timer::J, Some(32_000_000), Some(0)),
            (Timer::K, Some(5_000_000), Some(0)),
            (Timer::L, Some(32_000_000), Some(32_000_000)),
            (Timer::M, Some(32_000_000), Some(32_000_000)),
        ];
        for (timer, over_udp, over_tcp) in rows {
            assert_eq!(config.first_us(timer, false), over_udp, "{timer:?}");
            assert_eq!(config.first_us(timer, true), over_tcp, "{timer:?}");
        }
    }
}
