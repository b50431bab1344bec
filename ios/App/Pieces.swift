import Accessibility
import SwiftUI

/// Why the last thing was not done, where it was not.
struct ProblemLine: View {
    let problem: String?

    var body: some View {
        if let problem {
            Text(problem).foregroundStyle(.red).announced(problem)
        }
    }
}

/// Where a payment that waits for the person is confirmed.
struct PasswordConfirmation: View {
    @Binding var password: String
    let confirm: @MainActor () async -> Void

    var body: some View {
        SecureField("Payment password", text: $password)
        Button("Confirm the payment") { Task { await confirm() } }
    }
}

extension View {
    /// Covered while the app is not in front: the system keeps a picture of its screen for the list of recent apps.
    func curtained() -> some View { modifier(Curtain()) }

    /// Read out to whoever does not see the screen, when it appears and whenever it changes.
    func announced(_ sentence: String) -> some View {
        onChange(of: sentence, initial: true) { AccessibilityNotification.Announcement(sentence).post() }
    }
}

private struct Curtain: ViewModifier {
    @Environment(\.scenePhase) private var phase

    func body(content: Content) -> some View {
        content.overlay {
            if phase != .active { Color(uiColor: .systemBackground).ignoresSafeArea() }
        }
    }
}
