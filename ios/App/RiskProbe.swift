import Darwin
import Foundation
import MachO
import TapcoreShell

/// Looks for signs of an unsafe phone; what is made of them is `Sight`'s.
enum RiskProbe {
    static func look() -> Sight {
        var sight = Sight()
        sight.files = Sight.suspectFiles.filter { FileManager.default.fileExists(atPath: $0) }
        sight.images = (0..<_dyld_image_count()).compactMap { _dyld_get_image_name($0).map { String(cString: $0) } }
        sight.isTraced = isTraced()
        #if targetEnvironment(simulator)
        sight.isSimulator = true
        #endif
        return sight
    }

    private static func isTraced() -> Bool {
        var process = kinfo_proc()
        var length = MemoryLayout<kinfo_proc>.stride
        var name: [Int32] = [CTL_KERN, KERN_PROC, KERN_PROC_PID, getpid()]
        guard sysctl(&name, UInt32(name.count), &process, &length, nil, 0) == 0 else { return false }
        return process.kp_proc.p_flag & P_TRACED != 0
    }
}
