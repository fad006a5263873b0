import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.UnknownHostException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** What a Java service does: threads, sockets old and new, child processes, and null checks made by SIGSEGV. */
public final class Compat {
    private int field = 1;

    public static void main(String[] words) throws Exception {
        int port = serve();
        connect(port);
        start();
        nulls();
        look();
        refused();
        http();
        System.exit(3);
    }

    private static int serve() throws Exception {
        ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Thread thread = new Thread(() -> {
            while (true) {
                try (Socket socket = server.accept()) {
                    socket.getOutputStream().write(socket.getInputStream().read());
                } catch (Exception error) {
                    System.out.println(error);
                }
            }
        });
        thread.setDaemon(true);
        thread.start();
        return server.getLocalPort();
    }

    private static void connect(int port) throws Exception {
        var pool = Executors.newFixedThreadPool(16);
        List<Callable<Integer>> calls = new ArrayList<>();
        for (int turn = 0; turn < 300; turn++) {
            int value = turn % 200;
            calls.add(turn % 2 == 0 ? () -> plain(port, value) : () -> channel(port, value));
        }
        int sum = 0;
        for (Future<Integer> answer : pool.invokeAll(calls)) {
            sum += answer.get();
        }
        pool.shutdown();
        System.out.println("connects " + sum);
    }

    private static int plain(int port, int value) throws Exception {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.getOutputStream().write(value);
            return socket.getInputStream().read();
        }
    }

    private static int channel(int port, int value) throws Exception {
        try (SocketChannel channel = SocketChannel.open(new InetSocketAddress("127.0.0.1", port))) {
            channel.write(ByteBuffer.wrap(new byte[] {(byte) value}));
            ByteBuffer answer = ByteBuffer.allocate(1);
            channel.read(answer);
            return answer.get(0) & 0xff;
        }
    }

    private static void start() throws Exception {
        int right = 0;
        for (int turn = 0; turn < 30; turn++) {
            Process process = new ProcessBuilder("echo", "turn " + turn).redirectErrorStream(true).start();
            try (var reader = new BufferedReader(new InputStreamReader(process.getInputStream()))) {
                right += reader.readLine().equals("turn " + turn) && process.waitFor() == 0 ? 1 : 0;
            }
        }
        System.out.println("started " + right);
        System.out.println("status " + new ProcessBuilder("sh", "-c", "exit 7").start().waitFor());
        try {
            new ProcessBuilder("no-such-program").start();
        } catch (java.io.IOException error) {
            System.out.println(error.getMessage());
        }
        Process sleeper = new ProcessBuilder("sleep", "60").start();
        sleeper.destroy();
        System.out.println("ended " + sleeper.waitFor());
    }

    private static void nulls() {
        Compat[] some = {new Compat(), null};
        int caught = 0;
        int sum = 0;
        for (int turn = 0; turn < 200_000; turn++) {
            try {
                sum += some[turn % 2].field;
            } catch (NullPointerException error) {
                caught++;
            }
        }
        System.out.println("nulls " + caught + " " + sum);
    }

    private static void look() throws Exception {
        System.out.println(InetAddress.getByName("other.test").getHostAddress());
        try {
            InetAddress.getByName("missing.test");
        } catch (UnknownHostException error) {
            System.out.println(error.getMessage());
        }
    }

    private static void refused() {
        for (String address : new String[] {"127.0.0.1", "192.0.2.1"}) {
            try (Socket socket = new Socket(address, 9)) {
                System.out.println("connected?");
            } catch (Exception error) {
                System.out.println(error.getMessage());
            }
        }
    }

    private static void http() throws Exception {
        var server = com.sun.net.httpserver.HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            exchange.sendResponseHeaders(200, 2);
            exchange.getResponseBody().write("ok".getBytes());
            exchange.close();
        });
        server.start();
        var client = HttpClient.newHttpClient();
        var uri = URI.create("http://good.test:" + server.getAddress().getPort() + "/");
        int right = 0;
        for (int turn = 0; turn < 50; turn++) {
            var answer = client.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString());
            right += answer.body().equals("ok") ? 1 : 0;
        }
        server.stop(0);
        System.out.println("http " + right);
    }
}
