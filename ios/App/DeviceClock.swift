import Darwin
import Foundation
import Tapcore

/// The phone's clocks: the wall clock, which anyone can set, and the time since boot, which counts sleep
/// and which nobody can turn back without a restart.
final class DeviceClock: PlatformClock {
    private let bootId = DeviceClock.readBootId()

    func now() -> ClockReading {
        ClockReading(
            wallMs: Int64(Date().timeIntervalSince1970 * 1000),
            bootId: bootId,
            // On Apple's systems the raw monotonic clock goes on in sleep; the uptime clock does not.
            sinceBootMs: Int64(clock_gettime_nsec_np(CLOCK_MONOTONIC_RAW) / 1_000_000))
    }

    private static func readBootId() -> String {
        let name = "kern.bootsessionuuid"
        var length = 0
        guard sysctlbyname(name, nil, &length, nil, 0) == 0, length > 1 else { return fallback() }
        var text = [CChar](repeating: 0, count: length)
        guard sysctlbyname(name, &text, &length, nil, 0) == 0 else { return fallback() }
        return String(cString: text)
    }

    /// Where the system does not tell its boot's name, each start of the app counts as a boot of its own:
    /// times of different starts are then not compared, which errs on the safe side.
    private static func fallback() -> String {
        "run-" + UUID().uuidString
    }
}
