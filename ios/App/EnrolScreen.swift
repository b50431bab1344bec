import SwiftUI
import TapcoreShell

/// Connects the phone to a wallet provider.
struct EnrolScreen: View {
    let model: WalletModel
    @State private var provider = ""
    @State private var authority = ""
    @Environment(\.dismiss) private var dismiss

    var body: some View {
        NavigationStack {
            Form {
                TextField("Provider's address, https://…", text: $provider)
                    .textInputAutocapitalization(.never)
                    .keyboardType(.URL)
                Section("Provider's certificate authority (PEM)") {
                    TextEditor(text: $authority).font(.footnote.monospaced())
                }
                ProblemLine(problem: model.problem)
                Button("Connect") {
                    Task {
                        await model.enrol(provider: provider, authority: authority)
                        if model.enrolled { dismiss() }
                    }
                }
            }
            .navigationTitle("Connect")
        }
    }
}
