/* How fast libmodbus asks one device, one request after the other, and what it costs.
 * Usage: libmodbus_client PORT REGISTERS REQUESTS   (prints requests a second, CPU us a request)
 */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int registers = atoi(argv[2]), requests = atoi(argv[3]);
    uint16_t words[125];
    modbus_t *bus = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    modbus_set_slave(bus, 1);
    if (modbus_connect(bus) < 0)
        return 1;
    double began = seconds(CLOCK_MONOTONIC), spent = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int n = 0; n < requests; n++)
        if (modbus_read_registers(bus, 0, registers, words) != registers)
            return 1;
    spent = seconds(CLOCK_PROCESS_CPUTIME_ID) - spent;
    printf("%.1f %.2f\n", requests / (seconds(CLOCK_MONOTONIC) - began), spent / requests * 1e6);
    return 0;
}
