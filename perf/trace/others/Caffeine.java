// SPDX-License-Identifier: BSD-3-Clause
// W-TinyLFU by its authors' Caffeine, its upkeep on the calling thread after each request.
// usage: java -cp caffeine.jar Caffeine.java CAPACITY <TRACE    prints requests misses bytes missed_bytes
import com.github.benmanes.caffeine.cache.Cache;
import java.io.BufferedReader;
import java.io.InputStreamReader;

public class Caffeine {
    public static void main(String[] args) throws Exception {
        long capacity = Long.parseLong(args[0]);
        Cache<Long, Integer> cache = com.github.benmanes.caffeine.cache.Caffeine.newBuilder()
            .maximumWeight(capacity).weigher((Long key, Integer size) -> size)
            .executor(Runnable::run).build();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        long requests = 0, misses = 0, bytes = 0, missed = 0;
        for (String line; (line = in.readLine()) != null;) {
            String[] field = line.split(",");
            long key = Long.parseLong(field[1]);
            int size = Integer.parseInt(field[2]);
            requests++;
            bytes += size;
            if (cache.getIfPresent(key) == null) {
                misses++;
                missed += size;
                if (size <= capacity)
                    cache.put(key, size);
            }
            cache.cleanUp();
        }
        System.out.println(requests + " " + misses + " " + bytes + " " + missed);
    }
}
