import SwiftUI
import TapcoreShell

/// Pays a shop's code, given as the text that a camera reads. Which camera and which decoder is the app's own choice
/// (VisionKit's `DataScannerViewController` is the system's): it sets `model.code` and has it read.
struct MerchantScreen: View {
    @State var model: MerchantModel

    var body: some View {
        NavigationStack {
            Form {
                if let problem = model.problem {
                    Text(problem).foregroundStyle(.red)
                }
                TextField("The shop's code, as its text", text: $model.code)
                    .textInputAutocapitalization(.never)
                    .autocorrectionDisabled()
                Button("Read it") { Task { await model.read() } }
                if let offer = model.offer {
                    Text(sentence(offer)).font(.headline)
                    if let payment = model.payment {
                        Text(sentence(payment))
                        if payment.wantsPassword {
                            SecureField("Payment password", text: $model.password)
                            Button("Confirm the payment") { Task { await model.confirm() } }
                        }
                    } else {
                        if offer.amountMinor == nil {
                            TextField("Amount, such as 12.50", text: $model.amount).keyboardType(.decimalPad)
                        }
                        Button("Pay") { Task { await model.pay() } }
                    }
                }
            }
            .disabled(model.isBusy)
            .privacySensitive()
            .navigationTitle("Pay a shop's code")
        }
        .task { if !model.code.isEmpty { await model.read() } }
    }
}
