# What a Ruby service does: fork, spawn, pipes, threads, a server and its clients, both resolvers.
require "open3"
require "resolv"
require "socket"

puts "backticks #{(1..20).sum { |turn| `echo #{turn}`.to_i }}"
puts "spawn #{Process.wait2(spawn("sh", "-c", "exit 13"))[1].exitstatus}"
puts "system #{system("exit 2").inspect} #{system("no-such-program").inspect}"
reader, writer = IO.pipe
child = fork do
  reader.close
  writer.write "from a child #{Process.ppid == Process.pid ? 1 : 0}"
  exit! 14
end
writer.close
puts reader.read, Process.wait2(child)[1].exitstatus
puts "popen #{IO.popen(["sort", "-r"], "r+") { |io| io.puts %w[a c b]; io.close_write; io.read.split.join }}"
puts "open3 #{Open3.capture3("sh", "-c", "echo out; echo err >&2; exit 5").map(&:to_s).map { |word| word[/\w+ ?\d?$/] }[0, 2].join(" ")}"
puts "killed #{Process.wait2(spawn("kill -TERM $$"))[1].termsig}"

server = TCPServer.new("127.0.0.1", 0)
Thread.new { loop { Thread.new(server.accept) { |client| client.puts(client.gets); client.close } } }
answers = (1..50).map do |turn|
  Thread.new { TCPSocket.open("good.test", server.addr[1]) { |socket| socket.puts(turn); socket.gets.to_i } }
end
puts "clients #{answers.sum(&:value)}"
puts "name #{Addrinfo.getaddrinfo("other.test", 80, :INET, :STREAM).first.ip_address}"
puts "resolv #{Resolv::DNS.new(nameserver: ["127.0.0.1"]).getaddress("other.test")}"
begin
  TCPSocket.open("127.0.0.1", 9)
rescue SystemCallError => error
  puts error.class
end
workers = (1..4).map { |turn| fork { exit!(system("sh -c 'exit #{turn}'") ? 99 : $?.exitstatus) } }
puts "workers #{workers.sum { |pid| Process.wait2(pid)[1].exitstatus }}"
exit 7
