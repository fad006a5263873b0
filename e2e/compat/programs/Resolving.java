import java.net.InetAddress;
import java.net.UnknownHostException;

/** Looks names up as Java does: with the C library, on many threads. */
public class Resolving {
    public static void main(String[] names) throws Exception {
        Thread[] threads = new Thread[names.length];
        String[] said = new String[names.length];
        for (int index = 0; index < names.length; index++) {
            int own = index;
            threads[index] = new Thread(() -> {
                try {
                    said[own] = InetAddress.getByName(names[own]).getHostAddress();
                } catch (UnknownHostException unknown) {
                    said[own] = "unknown";
                }
            });
            threads[index].start();
        }
        for (int index = 0; index < names.length; index++) {
            threads[index].join();
            System.out.println(names[index] + " " + said[index]);
        }
    }
}
