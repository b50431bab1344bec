import Tapcore

/// What a look at the phone has found, before anything is made of it. These are heuristics: each can be hidden by
/// whoever has jailbroken the phone and takes the trouble, and the provider's rules say what they count.
public struct Sight: Sendable {
    /// Files of `suspectFiles` that are there.
    public var files: [String] = []
    /// Paths of the libraries in this process.
    public var images: [String] = []
    /// Whether a debugger traces this process.
    public var isTraced = false
    public var isSimulator = false

    public init() {}

    /// What jailbreaks leave behind, in their old places and in the newer ones beside the sealed system volume.
    public static let suspectFiles = [
        "/Applications/Cydia.app", "/Applications/Sileo.app", "/Library/MobileSubstrate/MobileSubstrate.dylib",
        "/bin/bash", "/usr/sbin/sshd", "/etc/apt", "/private/var/lib/apt", "/var/jb", "/var/binpack",
    ]

    private static let hooks = [
        "frida", "mobilesubstrate", "substitute", "libhooker", "ellekit", "cycript", "sslkillswitch", "tweakinject",
    ]

    public var signals: RiskSignals {
        // A simulator shows the files of the Mac that it runs on.
        RiskSignals(
            rooted: !isSimulator && !files.isEmpty,
            emulator: isSimulator,
            hooked: images.contains { image in
                let name = (image.split(separator: "/").last ?? "").lowercased()
                return Self.hooks.contains { name.contains($0) }
            },
            debugger: isTraced)
    }
}
