import com.google.zxing.BarcodeFormat;
import com.google.zxing.BinaryBitmap;
import com.google.zxing.DecodeHintType;
import com.google.zxing.MultiFormatReader;
import com.google.zxing.NotFoundException;
import com.google.zxing.RGBLuminanceSource;
import com.google.zxing.Result;
import com.google.zxing.common.HybridBinarizer;
import com.google.zxing.multi.qrcode.QRCodeMultiReader;
import java.awt.image.BufferedImage;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.imageio.ImageIO;

/**
 * Reads pictures by ZXing. Each line of standard input names a file. The answer is a JSON array of two: what ZXing finds when
 * it weighs every set of finder patterns, and what it finds when it takes the first, both as arrays of [format, text].
 */
public final class Read {
    /** As a till is set: to the codes that it takes. */
    private static final Map<DecodeHintType, ?> HINTS =
            Map.of(
                    DecodeHintType.TRY_HARDER,
                    true,
                    DecodeHintType.POSSIBLE_FORMATS,
                    List.of(BarcodeFormat.QR_CODE, BarcodeFormat.CODE_128));

    private Read() {}

    public static void main(String[] arguments) throws IOException {
        ImageIO.setUseCache(false);
        BufferedReader files = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String file = files.readLine(); file != null; file = files.readLine()) {
            BinaryBitmap bitmap = bitmap(new File(file));
            String first = json(plain(bitmap));
            String all = json(weighing(bitmap));
            answers.println("[" + (all.equals("[]") ? first : all) + "," + first + "]");
        }
    }

    private static BinaryBitmap bitmap(File file) throws IOException {
        BufferedImage image = ImageIO.read(file);
        int width = image.getWidth();
        int height = image.getHeight();
        int[] pixels = image.getRGB(0, 0, width, height, null, 0, width);
        return new BinaryBitmap(new HybridBinarizer(new RGBLuminanceSource(width, height, pixels)));
    }

    private static Result[] weighing(BinaryBitmap bitmap) {
        try {
            return new QRCodeMultiReader().decodeMultiple(bitmap, HINTS);
        } catch (NotFoundException nothing) {
            return new Result[0];
        }
    }

    private static Result[] plain(BinaryBitmap bitmap) {
        try {
            return new Result[] {new MultiFormatReader().decode(bitmap, HINTS)};
        } catch (NotFoundException nothing) {
            return new Result[0];
        }
    }

    private static String json(Result[] found) {
        return Stream.of(found)
                .map(code -> "[" + quoted(code.getBarcodeFormat().name()) + "," + quoted(code.getText()) + "]")
                .collect(Collectors.joining(",", "[", "]"));
    }

    private static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char letter : text.toCharArray()) {
            boolean plain = letter >= ' ' && letter < 0x7F && letter != '"' && letter != '\\';
            quoted.append(plain ? String.valueOf(letter) : String.format("\\u%04x", (int) letter));
        }
        return quoted.append('"').toString();
    }
}
