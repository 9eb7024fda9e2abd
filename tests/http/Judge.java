import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Java's own client, which over HTTP/2 reads an answer only once it has sent its request. Arguments: URL, rounds, and what
 * is refused as "METHOD PATH CREDENTIALS STATUS". Prints a line per form: what, tries, and what went wrong, with tabs between.
 */
public class Judge {
    static final Duration DEADLINE = Duration.ofSeconds(30);

    public static void main(String[] arguments) throws Exception {
        String url = arguments[0];
        int rounds = Integer.parseInt(arguments[1]);
        String[] refused = Arrays.copyOfRange(arguments, 2, arguments.length);
        String basic = "Basic " + Base64.getEncoder().encodeToString(System.getenv("JUDGE_LOGIN").getBytes("UTF-8"));
        SSLContext trust = trust(System.getenv("JUDGE_CA"));
        boolean failed = false;
        for (HttpClient.Version version : HttpClient.Version.values()) {
            for (int size : new int[] {2, 100_000, 3_000_000}) {
                byte[] body = new byte[size];
                Arrays.fill(body, (byte) ' ');
                body[0] = '{';
                body[size - 1] = '}';
                HttpClient client = HttpClient.newBuilder().sslContext(trust).version(version).build();
                List<String> wrong = new ArrayList<>();
                for (int round = 0; round < rounds; round++) {
                    String[] one = refused[round % refused.length].split(" ");
                    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + one[1]))
                        .method(one[0], HttpRequest.BodyPublishers.ofByteArray(body))
                        .header("content-type", "application/json");
                    if (one[2].equals("true")) {
                        request.header("authorization", basic);
                    }
                    check(client, request.build(), version, Integer.parseInt(one[3]), one[0] + " " + one[1], wrong);
                    HttpRequest next = HttpRequest.newBuilder(URI.create(url + "/")).header("authorization", basic).build();
                    check(client, next, version, 200, "the next request", wrong);
                    if (wrong.size() > 3) {
                        break;
                    }
                }
                failed |= !wrong.isEmpty();
                String what = "java " + version + ", a body of " + size + " bytes, then the next request";
                System.out.println(what + "\t" + rounds + (wrong.isEmpty() ? "" : "\t" + String.join("\t", wrong)));
            }
        }
        System.out.flush();
        // Its threads may hang with what hung.
        Runtime.getRuntime().halt(failed ? 1 : 0);
    }

    static void check(
        HttpClient client, HttpRequest request, HttpClient.Version version, int status, String what, List<String> wrong
    ) {
        try {
            HttpResponse<byte[]> answer = client.sendAsync(request, HttpResponse.BodyHandlers.ofByteArray())
                .get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
            if (answer.statusCode() != status) {
                wrong.add(what + ": " + answer.statusCode() + " and not " + status);
            } else if (answer.version() != version) {
                wrong.add(what + ": answered in " + answer.version());
            }
        } catch (Exception error) {
            wrong.add(what + ": " + error.toString().replaceAll("\\s+", " "));
        }
    }

    static SSLContext trust(String file) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (FileInputStream in = new FileInputStream(file)) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, factory.getTrustManagers(), null);
        return context;
    }
}
