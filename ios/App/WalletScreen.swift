import SwiftUI
import Tapcore
import TapcoreShell

/// Cards, payments, and the way to pay.
struct WalletScreen: View {
    let model: WalletModel
    let wallet: Wallet
    let session: PaymentSession
    @State private var isEnrolling = false
    @State private var isAddingCard = false
    @State private var paymentProblem: String?

    var body: some View {
        NavigationStack {
            List {
                if let problem = paymentProblem ?? model.problem {
                    Text(problem).foregroundStyle(.red)
                }
                Section("Cards") {
                    ForEach(model.cards, id: \.tokenRef) { card in
                        LabeledContent("\(card.bank) \(card.maskedCard)", value: card.maskedToken)
                    }
                    if model.enrolled {
                        Button("Add a card") { isAddingCard = true }
                    } else {
                        Button("Connect to a provider") { isEnrolling = true }
                    }
                }
                if !model.cards.isEmpty {
                    Button("Pay") { pay() }
                }
                Section("Payments") {
                    ForEach(model.payments) { PaymentRow(line: $0) }
                }
            }
            .navigationTitle("Tapcore")
            .refreshable { await model.sync() }
        }
        .sheet(isPresented: $isEnrolling) { EnrolScreen(model: model) }
        .sheet(isPresented: $isAddingCard, onDismiss: { Task { await model.refresh() } }) {
            AddCardScreen(model: AddCardModel(wallet: wallet))
        }
    }

    private func pay() {
        Task {
            do {
                try await session.run()
                paymentProblem = nil
            } catch {
                paymentProblem = PaymentSession.sentence(error)
            }
        }
    }
}

private struct PaymentRow: View {
    let line: PaymentLine

    var body: some View {
        VStack(alignment: .leading) {
            LabeledContent(line.merchant, value: line.amount)
            Text("\(line.at.formatted()) · \(line.state) · \(line.account)")
                .font(.footnote)
                .foregroundStyle(.secondary)
        }
    }
}
